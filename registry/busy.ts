/** SQLite's lock, in words of the model. The connection waits for the lock; what arrives here has waited in vain. */
import { UnavailableError } from '../model/errors.ts'

/** Whether an error says that somebody else holds the database's lock; then nothing was written. */
export function isBusy(error: unknown): error is Error {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')
}

/** @throws UnavailableError where the database stayed locked */
export async function unlessBusy<T>(what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    if (!isBusy(error)) throw error
    throw new UnavailableError(
      `registry: ${what} found the database locked all the time that it waited: another process is writing to it. Try again.`,
      { call: what },
      { cause: error },
    )
  }
}
