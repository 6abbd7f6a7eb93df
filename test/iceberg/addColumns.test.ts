/** Columns that a table gains, also by two writers at once. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { InvalidInput } from '../../iceberg/singleValue.ts'
import { dayFile, openCatalogAt, openTestCatalog, type TestCatalog } from './testCatalog.ts'

let lake: TestCatalog
beforeAll(async () => {
  lake = await openTestCatalog()
})
afterAll(() => lake.close())

const list = { type: 'list', element: 'float', 'element-required': false } as const

test('come with fresh ids, list elements included; every older schema and snapshot stays', async () => {
  const table = await lake.createTable('wider')
  const { snapshotId } = await table.append({ ref: 'main', files: [dayFile('a', 3)] })
  await table.addColumns([
    { name: 'count', type: 'long' },
    { name: 'embedding', type: list },
    { name: 'note', type: 'string' },
  ])
  expect(table.schema).toMatchObject({
    'schema-id': 1,
    fields: [
      { id: 1, name: 'event_timestamp', required: true },
      { id: 2, name: 'delay' },
      { id: 3, name: 'count', required: false, type: 'long' },
      { id: 4, name: 'embedding', required: false, type: { ...list, 'element-id': 5 } },
      { id: 6, name: 'note', required: false, type: 'string' },
    ],
  })
  expect(table.metadata).toMatchObject({ 'last-column-id': 6, 'current-schema-id': 1 })
  expect(table.metadata.schemas.map((schema) => schema['schema-id'])).toEqual([0, 1])
  expect(table.snapshot(snapshotId)?.schemaId).toBe(0)
  expect(table.ref('main')).toBe(snapshotId)
  const next = await table.append({ ref: 'main', files: [dayFile('b', 4)] })
  expect(next.schemaId).toBe(1)
})

test('that are there already are fine; another type, another case and a required one are not', async () => {
  const table = await lake.createTable('again')
  await table.addColumns([{ name: 'count', type: 'long' }])
  const { metadataLocation } = table
  await table.addColumns([
    { name: 'count', type: 'long' },
    { name: 'delay', type: 'double' },
  ])
  expect(table.metadataLocation).toBe(metadataLocation)
  for (const [column, sentence] of [
    [{ name: 'count', type: 'double' }, /count of type long already/],
    [{ name: 'Count', type: 'long' }, /Give it another name/],
    [{ name: 'more', type: 'long', required: true }, /cannot be required/],
  ] as const) {
    const refused = table.addColumns([column])
    await expect(refused).rejects.toThrow(InvalidInput)
    await expect(refused).rejects.toThrow(sentence)
  }
  expect((await table.refresh()).metadataLocation).toBe(metadataLocation)
})

test('of two writers at once both get theirs, under different ids', async () => {
  await lake.createTable('race')
  const writers = await Promise.all([0, 1].map(() => openCatalogAt(lake.home)))
  const names = ['left', 'right']
  await Promise.all(
    writers.map(async ({ catalog }, at) => {
      const table = await catalog.loadTable({ namespace: 'lake', name: 'race' })
      await table.addColumns([{ name: names[at] ?? '', type: 'long' }])
    }),
  )
  const { schema } = await lake.catalog.loadTable({ namespace: 'lake', name: 'race' })
  expect(schema.fields.map(({ name }) => name).sort()).toEqual(['delay', 'event_timestamp', 'left', 'right'])
  expect(new Set(schema.fields.map(({ id }) => id)).size).toBe(4)
  for (const { db } of writers) await db.destroy()
})
