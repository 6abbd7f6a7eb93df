/** A real Chromium opens the Temporal UI's start form, filled in from the newest run, and presses the button. */
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { chromium, type Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { applyRegistration, planRegistration } from '../../activities/index.ts'
import { startFormLink } from '../../scripts/temporal.ts'
import { findChromium } from '../../scripts/tools.mjs'
import { writeOrders } from '../support/orders.ts'
import { runStore, startTemporal, type RunningStore } from '../support/temporal.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('start-form')
let temporal: TestWorkflowEnvironment
let running: RunningStore
let browser: Browser
let uiPort: number

beforeAll(async () => {
  const executablePath = findChromium()
  if (executablePath === null)
    throw new Error('There is no Chromium here. `npm test` installs it; run that once.')
  uiPort = await freePort()
  temporal = await startTemporal({ uiPort })
  const orders = join(folder, 'orders')
  await writeOrders(orders, ['2024-01-01', '2024-01-02', '2024-01-03'])
  running = await runStore(
    temporal,
    {
      ASOF_HOME: join(folder, 'home'),
      ASOF_FEATURES: fileURLToPath(new URL('../fixtures/shop.ts', import.meta.url)),
      ORDERS_PATH: orders,
      ASOF_CLOCK: '2024-01-04T00:30:00Z',
    },
    folder,
  )
  await applyRegistration(running.store, await planRegistration(running.store))
  browser = await chromium.launch({
    executablePath,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--no-first-run',
    ],
  })
}, 180_000)

afterAll(async () => {
  await browser?.close()
  await running?.stop()
  await temporal?.teardown()
})

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        typeof address === 'object' && address !== null
          ? resolve(address.port)
          : reject(new Error('no port')),
      )
    })
  })
}

test('the start form is filled in, and its button starts a backfill', async () => {
  const { client, taskQueue, config } = running
  const input = { group: 'shop_orders_v1', from: '2024-01-02', to: '2024-01-03' }
  await client.workflow.execute('backfill', { taskQueue, workflowId: 'by-hand', args: [input] })
  const stack = {
    temporal: { address: temporal.address, uiUrl: `http://127.0.0.1:${uiPort}`, pid: null },
    worker: { pid: 0 },
    reader: { url: '', pid: 0 },
  }
  const page = await browser.newPage()
  await page.goto(startFormLink(config, stack, 'backfill') ?? '')
  await expect.poll(() => page.locator('body').innerText(), { timeout: 30_000 }).toContain('shop_orders_v1')
  await page
    .getByLabel(/workflow id/i)
    .first()
    .fill('by-button')
  await page
    .getByRole('button', { name: /start workflow/i })
    .last()
    .click()
  const handle = client.workflow.getHandle('by-button')
  await expect
    .poll(
      () =>
        handle.describe().then(
          ({ type }) => type,
          () => null,
        ),
      { timeout: 30_000 },
    )
    .toBe('backfill')
  expect(await handle.result()).toMatchObject({ outcome: 'nothing_to_do', alreadyPublished: 24 })
}, 120_000)
