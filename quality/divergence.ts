/**
 * How far two distributions over the same bins lie apart, bin by bin; the sum of the terms is the measure.
 *
 * - Population stability index: sum of (staged - published) * ln(staged / published), in nats (N. Siddiqi, Credit Risk
 *   Scorecards, 2006). It is the Kullback-Leibler divergence there and back, so it is infinite where only one of the
 *   two has a value in a bin: shares are smoothed first.
 * - Jensen-Shannon divergence: half of each one's Kullback-Leibler divergence from their mean, in bits (J. Lin,
 *   Divergence measures based on the Shannon entropy, IEEE Transactions on Information Theory 37(1), 1991). It lies
 *   between 0 and 1 and takes empty bins as they are. SciPy's `jensenshannon(p, q, base=2)` is its square root.
 */

/** Counts as shares of their sum. */
export function sharesOf(counts: readonly number[]): number[] {
  const total = sumOf(counts)
  return counts.map((count) => count / total)
}

/** Shares of counts to each of which a half was added (Krichevsky and Trofimov): none is 0, and together they are 1. */
export function smoothedShares(counts: readonly number[]): number[] {
  return sharesOf(counts.map((count) => count + 0.5))
}

/** Of shares, none of them 0. */
export function stabilityTerms(published: readonly number[], staged: readonly number[]): number[] {
  return published.map((share, at) => {
    const now = staged[at] ?? 0
    return (now - share) * Math.log(now / share)
  })
}

/** Of shares. */
export function divergenceTerms(published: readonly number[], staged: readonly number[]): number[] {
  return published.map((share, at) => {
    const now = staged[at] ?? 0
    const middle = (share + now) / 2
    return (surprise(share, middle) + surprise(now, middle)) / 2
  })
}

export function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0)
}

function surprise(share: number, middle: number): number {
  return share === 0 ? 0 : share * Math.log2(share / middle)
}
