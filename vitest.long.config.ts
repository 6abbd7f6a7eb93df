import { defineConfig } from 'vitest/config'

/** `npm run test:long`: stress, soak and bounds, minutes each. */
export default defineConfig({
  test: { include: ['test/long/**/*.test.ts'], maxWorkers: 2, testTimeout: 1_800_000, hookTimeout: 600_000 },
})
