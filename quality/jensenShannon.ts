/** The Jensen-Shannon divergence of a feature from the published period, in bits, of the shares as they are. */
import { divergenceTerms, sharesOf } from './divergence.ts'
import { judgeDrift, refusesDrift } from './drift.ts'
import { driftBins } from './driftBins.ts'
import type { QualityGate } from './gate.ts'

export const jensenShannon: QualityGate<'jensen_shannon'> = {
  refuses: refusesDrift,
  figures: () => ({}),
  bins: driftBins,
  judge: (gate, _figures, context, bins) => {
    const published = sharesOf(bins.map((bin) => bin.published))
    const staged = sharesOf(bins.map((bin) => bin.staged))
    return judgeDrift(gate, context, bins, divergenceTerms(published, staged))
  },
  violations: () => null,
}
