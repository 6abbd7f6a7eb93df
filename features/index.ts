/** The example store: one file per subject. */
export * from './airports.ts'
export * from './connections.ts'
export * from './flights.ts'
export * from './routes.ts'
export * from './services.ts'
export * from './congestion.ts'
export * from './streaks.ts'
