/** Where the embedded column of a store keeps what, under its home. */
import { join } from 'node:path'
import type { Config } from './config.ts'

type Home = Pick<Config, 'home'>

export const databasePath = ({ home }: Home) => join(home, 'store.db')
export const warehousePath = ({ home }: Home) => join(home, 'warehouse')
export const onlinePath = ({ home }: Home) => join(home, 'online')
export const samplesPath = ({ home }: Home) => join(home, 'online-samples')
