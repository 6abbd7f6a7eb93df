/** Every migration in order; the name decides. A migration that has been released never changes again. */
import type { Migration } from 'kysely'
import { first } from './0001_first.ts'
import { features } from './0002_features.ts'
import { live } from './0003_live.ts'
import { training } from './0004_training.ts'

export const migrations: Record<string, Migration> = {
  '0001_first': first,
  '0002_features': features,
  '0003_live': live,
  '0004_training': training,
}
