/**
 * The online store in a Redis Cluster. Its keys are those of one Redis (`redis.ts`), each in the slot that its name gives:
 * values are written by the same script, one key a call, and read by GETs, each node's in one go and all nodes at once.
 *
 * Nothing spans two nodes, so what one Redis does in one step is made of two here:
 *
 * - *Is anything lost?* Marks (`redisMarks.ts`) lie in all stretches of slots. A load that starts looks at all of them, and
 *   is told to be whole where one is missing; one that ends finds all of them still there before it moves them, and its
 *   own mark last. A read takes with each node's values a mark from that node, behind them; and before the first read of
 *   a load, or after slots have come to other nodes, all of them. What no mark covers is not believed: a node that came
 *   back empty, or a replica that took over too early, never looks like a store full of new users.
 * - *Is a load forgotten?* The record may have lost its end alone: it knows nothing then of loads that have written to other
 *   nodes. So a load notes at its end which master the record lies with, and under another one the next load is whole.
 * - *Which servers?* A load notes the run ids of all masters, and is not marked where they are others at its end.
 * - *Dropping under a load:* a load asks before every thousand values whether the group's life is still its own, and a drop
 *   waits, once it has ended that life, for as long as a call may take.
 *
 * What a load that is under way has written already may be read together with what it has not: it is all of loads that
 * are at least as new as the marked one.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { UnavailableError } from '../model/index.ts'
import { AskedTogether } from './askedTogether.ts'
import { contentLost, mergeMark } from './card.ts'
import { keySlot } from './keySlot.ts'
import { storageKey } from './key.ts'
import { Moved, RedisClusterConnection, type Topology } from './redisClusterConnection.ts'
import type { RedisOptions } from './redisConnection.ts'
import { covers, encodeMark, isOfLife, markKey, markKeys, putMark, reignKey } from './redisMarks.ts'
import { emptySlots, placeArgs, putting, swapped, swapRecord } from './redisScripts.ts'
import {
  lastUpdated,
  partsOf,
  RedisStore,
  textsOf,
  type Found,
  type Put,
  type Question,
  type Swap,
} from './redisStore.ts'
import type {
  GroupAsk,
  GroupCard,
  GroupFound,
  LoadMark,
  LoadStart,
  OnlineStore,
  SlotPlace,
  StartedLoad,
} from './store.ts'
import { compareOrder, encodeOrder } from './value.ts'

export const openRedisCluster = (options: RedisOptions): OnlineStore => new RedisCluster(options)

/** How often a question is asked again because slots have moved under it. */
const attempts = 5
const noOrder = encodeOrder({ incarnation: 0n, sequenceNumber: 0n })

class RedisCluster extends RedisStore {
  private readonly connection: RedisClusterConnection
  /** By group: the load of which all marks were found, and where slots lay then. */
  private readonly proven = new Map<string, { readonly load: string; readonly topology: Topology }>()

  constructor(options: RedisOptions) {
    const connection = new RedisClusterConnection(options)
    super(options, connection)
    this.connection = connection
  }

  async fetch(asks: readonly GroupAsk[]): Promise<(GroupFound | null)[]> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.fetchFrom(await this.connection.topology(), asks)
      } catch (error) {
        if (!(error instanceof Moved)) throw error
        if (attempt === attempts) throw this.unproven('all groups', 'slots move')
      }
    }
  }

  private async fetchFrom(topology: Topology, asks: readonly GroupAsk[]): Promise<(GroupFound | null)[]> {
    const answers: (GroupFound | null)[] = asks.map(() => null)
    let open = this.questionsOf(asks)
    while (open.length > 0) {
      const together = new AskedTogether<Question>()
      const own = open.map((question) => this.namesOf(question, together))
      const names = together.complete(open, own)
      const marks = open.map(({ ask }, index) => this.marksBehind(topology, ask.group, names[index] ?? []))
      const found = await this.connection.getEach([...own, ...marks].flat(), topology)
      let end = 0
      const pieces = [...own, ...marks].map(({ length }) => found.slice(end, (end += length)))
      const values = together.complete(open, pieces.slice(0, open.length))
      const next: Question[] = []
      for (const [index, question] of open.entries()) {
        const answer = this.judge(question, values[index] ?? [])
        if (answer !== null && 'ask' in answer) next.push(answer)
        else if (answer !== null) await this.prove(topology, answer, pieces[open.length + index] ?? [])
        if (answer === null || !('ask' in answer)) answers[question.place] = answer
      }
      open = next
    }
    return answers
  }

  /** One mark of every node that values come from. */
  private marksBehind({ owners, marks }: Topology, group: string, names: readonly string[]): string[] {
    const nodes = new Set(names.map((name) => owners[keySlot(name)] ?? ''))
    return [...nodes].map((node) => {
      const stretch = marks.get(node)
      if (stretch === undefined) throw this.unproven(group, `node ${node} has too few slots to have a mark`)
      return markKey(this.store, group, stretch)
    })
  }

  /** @throws UnavailableError where a node may have lost what its group's card speaks of */
  private async prove(
    topology: Topology,
    { card: { group, complete }, life }: Found,
    marks: readonly (Buffer | null)[],
  ): Promise<void> {
    if (complete === null) return
    const order = encodeOrder(complete.order)
    const check = (found: readonly (Buffer | null)[]) => {
      if (!found.every((mark) => covers(mark, order, life))) {
        throw this.unproven(group, 'a node has lost values, or has them from an older load')
      }
    }
    check(marks)
    const load = `${life} ${order.toString('hex')}`
    const proven = this.proven.get(group)
    if (proven?.load === load && proven.topology === topology) return
    check(await this.connection.getEach(markKeys(this.store, group), topology))
    this.proven.set(group, { load, topology })
  }

  private unproven(group: string, reason: string): UnavailableError {
    return new UnavailableError(
      `online store ${this.connection.label}: what it holds of ${group} cannot be relied on: ${reason}. Load the group again (\`asof materialize\`), or wait for the load that does.`,
      { group },
    )
  }

  override async startLoad(card: Omit<GroupCard, 'complete'>, load: StartedLoad): Promise<LoadStart | null> {
    const started = await super.startLoad(card, load)
    if (started === null) return null
    const { content = '' } = partsOf(started.life)
    const order = started.complete === null ? noOrder : encodeOrder(started.complete.order)
    const keys = markKeys(this.store, card.group)
    const reign = await this.connection.runId(this.recordKey(card.group))
    const marks = await this.connection.getEach([...keys, reignKey(this.store, card.group)])
    const missing = keys.filter((_, at) => !covers(marks[at] ?? null, order, content))
    const first = encodeMark(noOrder, content)
    await this.connection.runEach(
      putMark,
      missing.map((key) => ({ key, args: [first] })),
    )
    // The card may have lain on a node that is lost, so others may hold values of which it knows nothing.
    const mayBeForgotten = marks[keys.length]?.toString() !== reign
    const mustBeWhole = started.mustBeWhole || missing.length > 0 || mayBeForgotten
    return { ...started, isFirst: false, mustBeWhole }
  }

  override async finishLoad(group: string, mark: LoadMark, life?: string): Promise<void> {
    const { content, runId } = partsOf(life)
    const order = encodeOrder(mark.order)
    const stored = (await this.fetchRecord(group))?.record.stored ?? null
    const merged = mergeMark(stored, group, mark, content)
    const check = async () => {
      if (runId !== undefined && (await this.connection.runId()) !== runId) throw contentLost(group)
    }
    const reign = await this.connection.runId(this.recordKey(group))
    await check()
    if (merged.card.complete !== null && compareOrder(merged.card.complete.order, mark.order) === 0) {
      const keys = markKeys(this.store, group)
      const marks = await this.connection.getEach(keys)
      if (content !== undefined && !marks.every((one) => isOfLife(one, content))) throw contentLost(group)
      const all = encodeMark(order, merged.life)
      await this.connection.runEach(
        putMark,
        keys.map((key) => ({ key, args: [all] })),
      )
      await check()
    }
    await super.finishLoad(group, mark, content)
    // Last: a load that ends before it has been told nothing wrong. Who began under another master was told to be whole.
    if (runId === undefined) return
    await this.connection.attempt('write', (client) => client.set(reignKey(this.store, group), reign))
  }

  protected async putAll(group: string, { rows, order, life, expiry, slot }: Put): Promise<number> {
    const isAlive = async () => {
      if (life === '') return
      if ((await this.fetchRecord(group))?.record.stored.life !== life) throw contentLost(group)
    }
    const { script, args } = putting(slot)
    return this.connection.putAll(script, [order, '', ...expiry, ...args], rows, isAlive)
  }

  protected emptyAll(keys: readonly string[], slot: SlotPlace): Promise<number> {
    const args = placeArgs(slot)
    return this.connection.runEach(
      emptySlots,
      keys.map((key) => ({ key, args })),
    )
  }

  protected async swap(group: string, { before, after }: Swap): Promise<number> {
    const keys = [this.recordKey(group), this.versionKey(group)]
    const { text, version, updated } = textsOf(after)
    const done = await this.connection.run(swapRecord, keys, [before ?? '', text, version, '', ''])
    if (done !== swapped) return done
    const name = storageKey(this.store, group, lastUpdated)
    if (updated === '') await this.connection.unlink([name])
    else await this.connection.attempt('write', (client) => client.set(name, updated))
    return done
  }

  protected override settled(): Promise<void> {
    return sleep(this.connection.longestCallMs)
  }
}
