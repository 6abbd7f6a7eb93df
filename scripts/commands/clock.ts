/** `asof clock`: shows the store's clock, or moves a set one forward for every process of the store. */
import { existsSync } from 'node:fs'
import { openSqlite } from '../../iceberg/index.ts'
import { durationMs, formatInstant, InputError, parseInstant, type EpochMs } from '../../model/index.ts'
import { openRegistry, type Registry, type RegistryTables } from '../../registry/index.ts'
import type { Config } from '../../worker/config.ts'
import { databasePath } from '../../worker/paths.ts'
import { moveStoreClock, type ClockMove } from '../../worker/storeClock.ts'
import { bold, print, say, type Format } from '../output.ts'
import { readStack } from '../stack.ts'

export interface ClockOptions {
  to: string | undefined
  forward: string | undefined
  output: Format
}

export async function clock(config: Config, { to, forward, output }: ClockOptions): Promise<void> {
  const move = moveOf(to, forward)
  const registry = await openStoreRegistry(config)
  try {
    const moved = move === null ? null : await moveStoreClock(registry, move)
    const offsetMs = await registry.clockOffsetMs()
    const now = toSecond(Date.now() + offsetMs)
    const kind = offsetMs === 0 ? 'real' : 'set'
    const data = { clock: kind, now, offsetMs, movedFrom: moved === null ? null : toSecond(moved.from) }
    print(
      output,
      data,
      [
        `clock   ${kind}`,
        `now     ${now}`,
        `offset  ${Math.round(offsetMs / 1000)} s from this machine's`,
      ].join('\n'),
    )
    if (moved !== null) sayMoved(config, moved)
  } finally {
    await registry.close()
  }
}

function moveOf(to: string | undefined, forward: string | undefined): ClockMove | null {
  if (to !== undefined && forward !== undefined) {
    throw new InputError(
      `asof clock: say either the instant ${to} or --forward ${forward}, not both: the clock moves once.`,
    )
  }
  if (forward !== undefined) return { forwardMs: durationMs(forward, 'asof clock: --forward') }
  return to === undefined ? null : { to: parseInstant(to, 'asof clock') }
}

/** The registry alone: a clock needs no definitions. */
async function openStoreRegistry(config: Config): Promise<Registry> {
  if (!existsSync(databasePath(config))) {
    throw new InputError(
      `There is no store in ${config.home} yet, so it has no clock. \`asof apply\` makes one, on the real time or on that of ASOF_CLOCK; ASOF_HOME names another.`,
      { home: config.home },
    )
  }
  return openRegistry(await openSqlite<RegistryTables>(databasePath(config)))
}

function sayMoved(config: Config, { from, to }: { from: EpochMs; to: EpochMs }): void {
  say(`The store's clock moved from ${toSecond(from)} to ${toSecond(to)}, and runs on from there.`)
  if (readStack(config.home) !== null) say('The worker and the reader that run follow within a second.')
  say(
    `Next: ${bold('asof refresh <group>')} computes what has come due; ${bold('asof status')} shows up to when each group is published.`,
  )
}

const toSecond = (ms: EpochMs) => formatInstant(Math.floor(ms / 1000) * 1000)
