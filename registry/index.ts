/** The registry: the contract, its SQL, fingerprints and what a definition changes. */
export { describeChange, type Change, type ChangeVerdict } from './describeChange.ts'
export { definitionJson, registrationOf, serviceJson } from './definition.ts'
export { featureFingerprint, groupFingerprint } from './fingerprint.ts'
export * from './registry.ts'
export { openRegistry } from './sql.ts'
export type { RegistryTables } from './tables.ts'
