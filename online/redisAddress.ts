/**
 * Addresses of Redis: `redis://user:password@host:6379/0`, `rediss://` for TLS, with replicas to read from
 * `redis://host:6379/0?replicas=host:6380;host:6381` (same user, password and database); and of a cluster
 * `redis+cluster://user:password@host:7000?nodes=host:7001;host:7002` (`rediss+cluster://`), whose further nodes are asked
 * where the first one is away. A cluster has no databases.
 */
import { InputError } from '../model/index.ts'

export const isCluster = (url: string): boolean => /^rediss?\+cluster:/i.test(url)

/** The address as it may be shown. @throws InputError where it is none */
export function redisLabel(url: string): string {
  if (isCluster(url)) return clusterAddress(url).label
  const { protocol, hostname, port, pathname, searchParams } = parsed(url)
  if (!/^rediss?:$/.test(protocol) || hostname === '' || !/^(\/\d*)?$/.test(pathname)) throw notAnAddress()
  for (const list of searchParams.getAll('replicas'))
    for (const text of list.split(';')) parseNode(text, notAnAddress)
  return `${protocol}//${hostname}:${port || '6379'}${pathname === '/' ? '' : pathname}`
}

/** A Redis and its replicas, each by an address of its own. @throws InputError where it is none */
export function replicatedAddress(url: string): { primary: string; replicas: string[] } {
  redisLabel(url)
  const primary = parsed(url)
  const lists = primary.searchParams.getAll('replicas')
  if (lists.length === 0) return { primary: url, replicas: [] }
  primary.searchParams.delete('replicas')
  const replicas = lists
    .flatMap((list) => list.split(';'))
    .map((text) => {
      const { host, port } = parseNode(text, notAnAddress)
      const replica = new URL(primary)
      replica.host = `${host.includes(':') ? `[${host}]` : host}:${port}`
      return replica.href
    })
  return { primary: primary.href, replicas }
}

export interface ClusterAddress {
  readonly label: string
  readonly nodes: readonly { readonly host: string; readonly port: number }[]
  /** What every node is told. */
  readonly user: { readonly username?: string; readonly password?: string; readonly tls?: object }
}

/** @throws InputError where it is none */
export function clusterAddress(url: string): ClusterAddress {
  const { protocol, hostname, port, pathname, searchParams, username, password } = parsed(url)
  const unknown = [...searchParams.keys()].some((name) => name !== 'nodes')
  if (hostname === '' || !/^\/?$/.test(pathname) || unknown) throw notACluster()
  const more = searchParams.getAll('nodes').flatMap((list) => list.split(';'))
  const nodes = [`${hostname}:${port || '6379'}`, ...more].map((text) => parseNode(text, notACluster))
  const [first = { host: '', port: 0 }] = nodes
  return {
    label: `${protocol}//${first.host}:${first.port}`,
    nodes,
    user: {
      ...(username === '' ? {} : { username: decodeURIComponent(username) }),
      ...(password === '' ? {} : { password: decodeURIComponent(password) }),
      ...(protocol.startsWith('rediss') ? { tls: {} } : {}),
    },
  }
}

function parseNode(text: string, refusal: () => InputError): { host: string; port: number } {
  const [, host = '', port = ''] = /^(\[[0-9a-f:.]+\]|[\w.-]+):(\d{1,5})$/i.exec(text) ?? []
  if (host === '' || Number(port) > 65_535) throw refusal()
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) }
}

function parsed(url: string): URL {
  try {
    return new URL(url)
  } catch {
    throw isCluster(url) ? notACluster() : notAnAddress()
  }
}

const notAnAddress = () =>
  new InputError(
    'An online store is no address of a Redis. Write redis://host:6379/0, or rediss:// for TLS, with user:password@ before the host where it wants them and ?replicas=host:6380;host:6381 behind it where there are some to read from.',
  )

const notACluster = () =>
  new InputError(
    'An online store is no address of a Redis Cluster. Write redis+cluster://host:7000?nodes=host:7001;host:7002, or rediss+cluster:// for TLS, with user:password@ before the first host where it wants them, and no database.',
  )
