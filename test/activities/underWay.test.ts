/** Writes under way: how many at once, and where a failure of one of them goes. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { underWay } from '../../activities/underWay.ts'

test('as many as allowed are under way, and the end waits for all of them', async () => {
  const writes = underWay(3)
  let now = 0
  let most = 0
  let done = 0
  for (let piece = 0; piece < 20; piece++) {
    await writes.begin(async () => {
      most = Math.max(most, ++now)
      await sleep(piece % 4)
      now--
      done++
    })
  }
  await writes.end()
  expect([most, done]).toEqual([3, 20])
})

test('a failure is thrown by the next piece or the end, once what else is under way has ended', async () => {
  const writes = underWay(2)
  await writes.begin(() => Promise.reject(new Error('the first')))
  await sleep(1)
  await expect(writes.begin(() => Promise.reject(new Error('the second')))).rejects.toThrow('the first')
  await expect(writes.end()).rejects.toThrow('the first')

  const last = underWay(2)
  let isOtherDone = false
  await last.begin(async () => {
    await sleep(5)
    isOtherDone = true
  })
  await last.begin(() => Promise.reject(new Error('the last')))
  await expect(last.end()).rejects.toThrow('the last')
  expect(isOtherDone).toBe(true)
})
