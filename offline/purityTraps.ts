/**
 * Traps for what a pure function has no business with: the clock, chance, the network, files, other processes and the
 * machine's locale.
 *
 * They replace the globals of this process while one synchronous step runs, so that nothing else can meet them, and put
 * everything back. What was touched is noted even if the function swallows the error.
 */
import childProcess from 'node:child_process'
import crypto from 'node:crypto'
import dgram from 'node:dgram'
import dns from 'node:dns'
import fs from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { syncBuiltinESMExports } from 'node:module'
import net from 'node:net'
import os from 'node:os'

type Owner = Record<string, unknown>

/** What is trapped, and what it is called in errors. */
const forbidden: readonly [owner: object, names: readonly string[], what: string][] = [
  [Math, ['random'], 'chance (Math.random)'],
  [Object.getPrototypeOf(performance) as object, ['now'], 'the clock (performance)'],
  [process, ['hrtime', 'uptime', 'cpuUsage', 'memoryUsage'], 'the process (its clock or load)'],
  [globalThis, ['fetch', 'WebSocket', 'EventSource'], 'the network'],
  [globalThis, ['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask'], 'a timer'],
  [
    crypto,
    [
      'randomBytes',
      'randomInt',
      'randomUUID',
      'randomFill',
      'randomFillSync',
      'getRandomValues',
      'pseudoRandomBytes',
    ],
    'chance (node:crypto)',
  ],
  [Object.getPrototypeOf(globalThis.crypto) as object, ['randomUUID', 'getRandomValues'], 'chance (crypto)'],
  [net, ['connect', 'createConnection', 'createServer'], 'the network (node:net)'],
  [dgram, ['createSocket'], 'the network (node:dgram)'],
  [dns, ['lookup', 'resolve'], 'the network (node:dns)'],
  [http, ['request', 'get'], 'the network (node:http)'],
  [https, ['request', 'get'], 'the network (node:https)'],
  [
    childProcess,
    ['exec', 'execSync', 'spawn', 'spawnSync', 'execFile', 'execFileSync', 'fork'],
    'other processes',
  ],
  [
    fs,
    ['readFileSync', 'writeFileSync', 'appendFileSync', 'statSync', 'existsSync', 'readdirSync', 'openSync'],
    'files',
  ],
  [fs, ['readFile', 'writeFile', 'appendFile', 'stat', 'readdir', 'open'], 'files'],
  [os, ['hostname', 'cpus', 'freemem', 'loadavg', 'uptime', 'userInfo'], 'the machine (node:os)'],
]

/** Methods that take the machine's locale where the argument at the position does not name one. */
const localeMethods: readonly [owner: object, names: readonly string[], position: number][] = [
  [String.prototype, ['localeCompare'], 1],
  [String.prototype, ['toLocaleUpperCase', 'toLocaleLowerCase'], 0],
  [Number.prototype, ['toLocaleString'], 0],
  [BigInt.prototype, ['toLocaleString'], 0],
  [Date.prototype, ['toLocaleString', 'toLocaleDateString', 'toLocaleTimeString'], 0],
  [Array.prototype, ['toLocaleString'], 0],
  [Intl, ['DateTimeFormat', 'NumberFormat', 'Collator', 'PluralRules', 'ListFormat', 'Segmenter'], 0],
  [Intl, ['RelativeTimeFormat', 'DisplayNames'], 0],
]

export class Trapped extends Error {}

/** Runs a synchronous step with everything trapped. `touched` says what it touched, without repetition. */
export function withTraps<T>(step: () => T): { result: T | undefined; error: unknown; touched: string[] } {
  const touched = new Set<string>()
  const trip = (what: string): never => {
    touched.add(what)
    throw new Trapped(`a pure function must not touch ${what}`)
  }
  const restore: (() => void)[] = []
  const replace = (owner: object, name: string, value: unknown) => {
    const before = Object.getOwnPropertyDescriptor(owner, name)
    if (before?.configurable !== true && before?.writable !== true) return
    if (before.configurable === true)
      Object.defineProperty(owner, name, { value, configurable: true, writable: true })
    else (owner as Owner)[name] = value
    restore.push(() => {
      if (before.configurable === true) Object.defineProperty(owner, name, before)
      else (owner as Owner)[name] = before.value
    })
  }
  let outcome: { result: T | undefined; error: unknown }
  try {
    for (const [owner, names, what] of forbidden) {
      for (const name of names) replace(owner, name, () => trip(what))
    }
    for (const [owner, names, position] of localeMethods) {
      for (const name of names) replace(owner, name, localeTrap((owner as Owner)[name], position, name, trip))
    }
    replace(globalThis, 'Date', trappedDate(trip))
    syncBuiltinESMExports()
    outcome = attempt(step)
  } finally {
    for (const undo of restore.reverse()) undo()
    syncBuiltinESMExports()
  }
  return { ...outcome, touched: [...touched] }
}

function attempt<T>(step: () => T): { result: T | undefined; error: unknown } {
  try {
    return { result: step(), error: undefined }
  } catch (error) {
    return { result: undefined, error }
  }
}

function localeTrap(real: unknown, position: number, name: string, trip: (what: string) => never): unknown {
  if (typeof real !== 'function') return real
  const check = (given: readonly unknown[]) => {
    if (given[position] === undefined) trip(`the machine's locale (${name} without a locale)`)
  }
  return new Proxy(real, {
    apply: (target, self, given: unknown[]) => {
      check(given)
      return Reflect.apply(target, self, given) as unknown
    },
    construct: (target, given: unknown[], as) => {
      check(given)
      return Reflect.construct(target, given, as) as object
    },
  })
}

/** A Date of a given time is arithmetic; a Date of now is the clock. */
function trappedDate(trip: (what: string) => never): DateConstructor {
  return new Proxy(Date, {
    apply: () => trip('the clock (Date())'),
    construct: (target, given: unknown[], as) =>
      given.length === 0 ? trip('the clock (new Date())') : (Reflect.construct(target, given, as) as object),
    get: (target, name, receiver) =>
      name === 'now'
        ? () => trip('the clock (Date.now())')
        : (Reflect.get(target, name, receiver) as unknown),
  })
}
