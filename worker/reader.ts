/** The reader process: serves online values over HTTP until it is told to stop. */
import { InputError } from '../model/index.ts'
import { readConfig } from './config.ts'
import { runReader } from './runReader.ts'

try {
  await runReader(readConfig(process.env, process.cwd()))
} catch (error) {
  if (!(error instanceof InputError)) throw error
  console.error(error.message)
  process.exit(2)
}
