/** A real Redis Cluster of a test's own: three masters and a replica of each, on free ports of the loopback interface. */
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, startRedis, type TestRedis } from './redis.ts'

export interface TestCluster {
  /** For `openRedis`. */
  readonly url: string
  readonly masters: readonly TestRedis[]
  /** In the order of their masters. */
  readonly replicas: readonly TestRedis[]
  /** Comes back when a node says that all slots are served, and `also` holds for what it says. */
  untilWhole(node: TestRedis, also?: (nodes: string) => boolean): Promise<void>
  /** Comes back when the replica of one of the masters has all that this had at the call. */
  untilFollowed(of: number): Promise<void>
  /** Takes slots from one master to another, with their keys. */
  move(slots: readonly number[], from: TestRedis, to: TestRedis): Promise<void>
  /** What is written meanwhile, a master answers and takes with it: its replica takes over without. */
  loseTail(of: number, write: () => Promise<unknown>): Promise<void>
  end(): Promise<void>
}

export const masterCount = 3
/** Which of the masters has a slot at first. */
export const masterOf = (slot: number): number => Math.floor((slot * masterCount) / 16_384)

const nodeTimeoutMs = 1_000
const patienceMs = 30_000

export async function startCluster(): Promise<TestCluster> {
  const nodes: TestRedis[] = []
  const end = async () => {
    await Promise.all(nodes.map((node) => node.end()))
  }
  try {
    const buses = new Map<TestRedis, number>()
    for (let at = 0; at < 2 * masterCount; at++) {
      const bus = await freePort()
      const settings = ['--cluster-enabled', 'yes', '--cluster-port', String(bus)]
      const timeout = ['--cluster-node-timeout', String(nodeTimeoutMs), '--repl-diskless-sync-delay', '0']
      const node = await startRedis({ settings: [...settings, ...timeout] })
      nodes.push(node)
      buses.set(node, bus)
    }
    const masters = nodes.slice(0, masterCount)
    const replicas = nodes.slice(masterCount)
    await join(nodes, buses)
    for (const [at, master] of masters.entries()) {
      const first = Math.ceil((at * 16_384) / masterCount)
      const last = Math.ceil(((at + 1) * 16_384) / masterCount) - 1
      await master.look((client) => client.call('CLUSTER', 'ADDSLOTSRANGE', first, last))
    }
    await Promise.all(nodes.map((node) => untilWhole(node)))
    for (const [at, replica] of replicas.entries()) await replicate(replica, masters[at] as TestRedis)
    const url = `redis+cluster://127.0.0.1:${masters[0]?.port}?nodes=${nodes.map(({ port }) => `127.0.0.1:${port}`).join(';')}`
    const untilFollowed: TestCluster['untilFollowed'] = async (of) => {
      const [master, replica] = [masters[of], replicas[of]]
      if (master === undefined || replica === undefined) throw new Error('no such node')
      const written = await offsetOf(master, 'master_repl_offset')
      await until('a replica has what its master has', async () => {
        return (await offsetOf(replica, 'slave_repl_offset')) >= written
      })
    }
    const loseTail: TestCluster['loseTail'] = async (of, write) => {
      const [master, replica] = [masters[of], replicas[of]]
      if (master === undefined || replica === undefined) throw new Error('no such node')
      await untilFollowed(of)
      replica.pause()
      // Else the rest would wait for it in the socket.
      await master.look((client) => client.call('CLIENT', 'KILL', 'TYPE', 'replica'))
      await write()
      await master.kill()
      replica.resume()
      await untilWhole(replica, (nodes) => /myself,master/.test(nodes))
    }
    return { url, masters, replicas, untilWhole, untilFollowed, move, loseTail, end }
  } catch (error) {
    await end()
    throw error
  }
}

async function join(nodes: readonly TestRedis[], buses: ReadonlyMap<TestRedis, number>): Promise<void> {
  const [first] = nodes
  for (const node of nodes.slice(1)) {
    await first?.look((client) =>
      client.call('CLUSTER', 'MEET', '127.0.0.1', node.port, buses.get(node) ?? 0),
    )
  }
  for (const node of nodes) {
    await until(`${nodes.length} nodes know each other`, async () => {
      const lines = (await listed(node)).split('\n').filter((line) => line.includes(' connected'))
      return lines.length === nodes.length
    })
  }
}

async function replicate(replica: TestRedis, master: TestRedis): Promise<void> {
  const id = await master.look((client) => client.call('CLUSTER', 'MYID'))
  await replica.look((client) => client.call('CLUSTER', 'REPLICATE', String(id)))
  await until('a replica follows its master', () =>
    replica.look(async (client) => (await client.info('replication')).includes('master_link_status:up')),
  )
}

/** How far a node has come in what is replicated. (WAIT knows only of its own connection's writes.) */
const offsetOf = (node: TestRedis, field: string): Promise<number> =>
  node.look(async (client) =>
    Number(new RegExp(`^${field}:(\\d+)`, 'm').exec(await client.info('replication'))?.[1]),
  )

const listed = (node: TestRedis): Promise<string> =>
  node.look(async (client) => String(await client.call('CLUSTER', 'NODES')))

export async function untilWhole(
  node: TestRedis,
  also: (nodes: string) => boolean = () => true,
): Promise<void> {
  await until('all slots are served', async () => {
    const state = await node.look(async (client) => String(await client.call('CLUSTER', 'INFO')))
    return state.includes('cluster_state:ok') && also(await listed(node))
  })
}

async function move(slots: readonly number[], from: TestRedis, to: TestRedis): Promise<void> {
  const idOf = (node: TestRedis) => node.look(async (client) => String(await client.call('CLUSTER', 'MYID')))
  const [source, target] = [await idOf(from), await idOf(to)]
  for (const slot of slots) {
    await to.look((client) => client.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', source))
    await from.look(async (client) => {
      await client.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', target)
      for (;;) {
        const keys = (await client.call('CLUSTER', 'GETKEYSINSLOT', slot, 100)) as string[]
        if (keys.length === 0) break
        await client.call('MIGRATE', '127.0.0.1', to.port, '', 0, patienceMs, 'KEYS', ...keys)
      }
    })
    for (const node of [to, from]) {
      await node.look((client) => client.call('CLUSTER', 'SETSLOT', slot, 'NODE', target))
    }
  }
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + patienceMs; Date.now() < deadline;) {
    if (await holds()) return
    await sleep(50)
  }
  throw new Error(`In vain was waited until ${what}.`)
}
