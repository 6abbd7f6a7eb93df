/** The population stability index of a feature against the published period, in nats; half a count is added to every bin. */
import { smoothedShares, stabilityTerms } from './divergence.ts'
import { judgeDrift, refusesDrift } from './drift.ts'
import { driftBins } from './driftBins.ts'
import type { QualityGate } from './gate.ts'

export const psi: QualityGate<'psi'> = {
  refuses: refusesDrift,
  figures: () => ({}),
  bins: driftBins,
  judge: (gate, _figures, context, bins) => {
    const published = smoothedShares(bins.map((bin) => bin.published))
    const staged = smoothedShares(bins.map((bin) => bin.staged))
    return judgeDrift(gate, context, bins, stabilityTerms(published, staged))
  },
  violations: () => null,
}
