/**
 * Who may ask: bearer tokens (RFC 6750), several at once, so that a new one can be given out before the old one ends.
 *
 * Tokens are kept and compared as SHA-256 digests, in constant time and over the whole list: how long a refusal takes
 * says nothing of any token. Where there are none, whoever reaches the port may ask; so the reader listens on loopback
 * alone then, unless it is told in so many words.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { BlockList, isIPv6 } from 'node:net'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { InputError } from '../model/index.ts'
import { UnauthorizedError } from './errors.ts'

export interface Access {
  /** False where anybody may ask. */
  readonly wantsToken: boolean
  /** From now on these count, and no others. @throws InputError for one that is too short, or cannot stand in a header */
  replaceTokens(tokens: readonly string[]): void
  /** Whether this `Authorization` header may ask: it holds one of the tokens, or none is wanted. */
  admits(authorization: string | undefined): boolean
}

export const leastTokenLength = 16

/** @throws InputError as `replaceTokens` does */
export function createAccess(tokens: readonly string[] = []): Access {
  let digests = digestsOf(tokens)
  return {
    get wantsToken() {
      return digests.length > 0
    },
    replaceTokens(next) {
      digests = digestsOf(next)
    },
    admits(authorization) {
      if (digests.length === 0) return true
      const token = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
      if (token === undefined) return false
      const shown = digestOf(token)
      let equal = 0
      for (const digest of digests) equal |= Number(timingSafeEqual(digest, shown))
      return equal === 1
    },
  }
}

const digestOf = (token: string) => createHash('sha256').update(token).digest()

function digestsOf(tokens: readonly string[]): Buffer[] {
  checkTokens(tokens, 'tokens of the reader')
  return tokens.map(digestOf)
}

/** @param where they come from, for the error, which never shows a token. @throws InputError */
export function checkTokens(tokens: readonly string[], where: string): void {
  for (const [index, token] of tokens.entries()) {
    const which = `${where}: token ${index + 1} of ${tokens.length}`
    if (token.length < leastTokenLength) {
      throw new InputError(
        `${which} is ${token.length} characters long, at least ${leastTokenLength} are wanted. Make one with: openssl rand -hex 32`,
      )
    }
    if (!/^[\w.~+/-]+=*$/.test(token)) {
      throw new InputError(
        `${which} holds a character that no bearer token can have. Use letters, digits and - . _ ~ + /, as openssl rand -hex 32 makes them.`,
      )
    }
  }
}

/** What balancers and supervisors ask without a token. Neither says more than whether the reader lives and can serve. */
const openRoutes: ReadonlySet<string | undefined> = new Set(['/health', '/ready'])

/** Refuses whatever comes without a token with 401, routes that are not there included. */
export function addAccess(app: FastifyInstance, access: Access): void {
  app.addHook('onRequest', (request, reply, done) => {
    const mayPass = isKnown(access, request) || openRoutes.has(request.routeOptions.url)
    if (!mayPass) reply.header('www-authenticate', 'Bearer')
    done(mayPass ? undefined : new UnauthorizedError())
  })
}

/** Whether the one who asks may see more than the open routes tell everybody. */
export const isKnown = (access: Access, request: FastifyRequest): boolean =>
  access.admits(request.headers.authorization)

/**
 * Refuses to open a port to others without anybody having said who may ask.
 *
 * @throws InputError where the address is not loopback, there is no token, and nobody said that this is meant
 */
export function checkListening(
  host: string,
  { wantsToken, allowAnonymous }: { readonly wantsToken: boolean; readonly allowAnonymous: boolean },
): void {
  if (isLoopback(host) || wantsToken || allowAnonymous) return
  throw new InputError(
    `The reader would listen on ${host} and answer whoever can reach it. Set ASOF_READER_TOKENS or ASOF_READER_TOKENS_FILE, or ASOF_READER_ALLOW_ANONYMOUS=1 where something in front of it decides who may ask, or listen on 127.0.0.1.`,
  )
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** A name other than localhost may lead anywhere, so it counts as elsewhere. */
const isLoopback = (host: string): boolean =>
  host === 'localhost' || loopback.check(host, isIPv6(host) ? 'ipv6' : 'ipv4')
