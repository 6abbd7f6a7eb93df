/** `GET /openapi.json`: every route, parameter, shape and refusal, for people, code generators and generators of requests. */
import type { FastifyInstance } from 'fastify'
import type { Access } from './access.ts'
import { entityIds, featureNames, ref, schemas, type Schema } from './openApiSchemas.ts'
import { textFormat } from './prometheus.ts'

const json = 'application/json'
const packed = 'application/msgpack'

const clock = {
  'asof-clock': {
    description: 'On a store whose clock is set: how far from the real time it is.',
    schema: { type: 'string' },
  },
}

interface Response {
  readonly description: string
  readonly headers?: Schema
  readonly content?: Schema
}

const answer = (description: string, schema: Schema, types: readonly string[] = [json]): Response => ({
  description,
  headers: clock,
  content: Object.fromEntries(types.map((type) => [type, type === packed ? {} : { schema }])),
})

const refused = (description: string): Response => answer(description, ref('Error'))
const unavailable = (description: string, schema = ref('Error')): Response => ({
  ...answer(description, schema),
  headers: {
    ...clock,
    'retry-after': { description: 'Seconds.', required: true, schema: { type: 'integer', minimum: 1 } },
  },
})

const responses: Readonly<Record<string, Response>> = {
  BadRequest: refused('The question cannot be answered as it is: code bad_request.'),
  Unauthorized: {
    ...refused('No token, or none that counts: code unauthorized.'),
    headers: {
      ...clock,
      'www-authenticate': { required: true, schema: { type: 'string', const: 'Bearer' } },
    },
  },
  NotFound: refused('There is no such group or service: code unknown_group.'),
  SlowRequest: refused('The body did not arrive in time: code slow_request.'),
  TooLarge: refused('The body is larger than a mebibyte: code too_large.'),
  TooLongName: refused('The name in the address is longer than 256 characters: code bad_request.'),
  UnsupportedMediaType: refused('The body is neither JSON nor MessagePack: code bad_request.'),
  TooLongAddress: refused('The address is longer than half a mebibyte: code too_long.'),
  Internal: refused('The reader failed, and its log says why: code internal.'),
  Unavailable: unavailable(
    'Nothing is served that might be wrong: code not_loaded (the group has never been loaded completely), store_unavailable (the online store does not answer), overloaded or deadline (too much to do). Ask again after retry-after seconds.',
  ),
  FeastNotFound: answer('There is no such feature view or service.', ref('FeastError')),
  FeastInvalid: answer('The question cannot be answered as it is.', ref('FeastError')),
}

const responseRef = (name: string) => ({ $ref: `#/components/responses/${name}` })
const refusals = (names: Readonly<Record<number, string>>) =>
  Object.fromEntries(Object.entries(names).map(([code, name]) => [code, responseRef(name)]))

const always = { 401: 'Unauthorized', 500: 'Internal' }
const asking = { ...always, 503: 'Unavailable' }
const withBody = { 408: 'SlowRequest', 413: 'TooLarge', 415: 'UnsupportedMediaType' }

const bodyOf = (schema: string) => ({
  required: true,
  content: { [json]: { schema: ref(schema) }, [packed]: {} },
})

const open = { security: [] }

const paths = {
  '/feature-groups/{id}/online': {
    get: {
      operationId: 'getOnline',
      summary: 'Values of one feature group, for up to 1,000 entities.',
      parameters: [
        {
          ...{ name: 'id', in: 'path', required: true },
          description: 'The feature group, such as airport_delays_v1.',
          schema: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,128}$' },
        },
        {
          ...{ name: 'entity_ids', in: 'query', required: true, style: 'form', explode: false },
          description:
            'Keys joined with commas, the keys of one entity with bars: ATL|JFK. Inside of a key \\\\, \\| and \\, stand for a backslash, a bar and a comma, and \\e is an empty one.',
          schema: entityIds,
        },
        {
          ...{ name: 'features', in: 'query', style: 'form', explode: false },
          description: 'Those alone, in this order; all in the order of the definition without it.',
          schema: featureNames,
        },
      ],
      responses: {
        200: answer('One result for each entity.', ref('GroupAnswer'), [json, packed]),
        ...refusals({
          ...asking,
          ...{ 400: 'BadRequest', 404: 'NotFound', 414: 'TooLongName', 431: 'TooLongAddress' },
        }),
      },
    },
  },
  '/online': {
    post: {
      operationId: 'getVectors',
      summary:
        'Vectors of a feature service, or of a list of features, over several groups, for up to 1,000 rows.',
      requestBody: bodyOf('VectorsQuestion'),
      responses: {
        200: answer('One result for each row.', ref('VectorsAnswer'), [json, packed]),
        ...refusals({ ...asking, ...withBody, 400: 'BadRequest', 404: 'NotFound' }),
      },
    },
  },
  '/get-online-features': {
    post: {
      operationId: 'getOnlineFeatures',
      summary: "The same as Feast's feature server answers it; a feature view is a feature group by its id.",
      requestBody: bodyOf('FeastQuestion'),
      responses: {
        200: answer('One result for each column.', ref('FeastAnswer')),
        ...refusals({ ...asking, ...withBody, 400: 'BadRequest', 404: 'FeastNotFound', 422: 'FeastInvalid' }),
      },
    },
  },
  '/health': {
    get: {
      ...{ operationId: 'getHealth', summary: 'Whether the process lives.', ...open },
      responses: { 200: answer('It does.', ref('Health')), ...refusals({ 500: 'Internal' }) },
    },
  },
  '/ready': {
    get: {
      ...{
        operationId: 'getReady',
        summary: 'Whether every feature group has been loaded completely.',
        ...open,
      },
      description: 'Names of groups are there for those alone who show a token, where one is wanted.',
      responses: {
        200: answer('All have been.', ref('Ready')),
        503: unavailable(
          'Not yet (not_ready), not any more (draining), or the online store does not answer (store_unavailable).',
          ref('NotReady'),
        ),
        ...refusals({ 500: 'Internal' }),
      },
    },
  },
  '/metrics': {
    get: {
      ...{ operationId: 'getMetrics', summary: "Counts and times, in Prometheus' text format." },
      responses: {
        200: answer('Samples.', { type: 'string' }, [textFormat.split(';')[0] ?? '']),
        ...refusals(always),
      },
    },
  },
  '/openapi.json': {
    get: {
      ...{ operationId: 'getOpenApi', summary: 'This document.' },
      responses: { 200: answer('An OpenAPI document.', { type: 'object' }), ...refusals(always) },
    },
  },
}

/** @param wantsToken whether the reader has tokens: it asks for one everywhere, or nowhere */
export function openApi(wantsToken: boolean) {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Asof reader',
      version: '1',
      description:
        'Serves online features. Every value comes with its status, every group with its age; int64 has all its digits in JSON.',
    },
    paths,
    components: {
      schemas,
      responses,
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
    },
    security: wantsToken ? [{ token: [] }] : [],
  }
}

export function addOpenApi(app: FastifyInstance, access: Access): void {
  app.get('/openapi.json', () => openApi(access.wantsToken))
}
