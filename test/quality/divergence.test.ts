/** The arithmetic of drift against SciPy's figures and against examples that can be followed by hand. */
import { describe, expect, test } from 'vitest'
import { divergenceTerms, sharesOf, smoothedShares, stabilityTerms, sumOf } from '../../quality/divergence.ts'

/**
 * SciPy 1.17.1: `psi` is `sum(rel_entr(q, p)) + sum(rel_entr(p, q))`, which is what the index adds up to;
 * `distance` is `jensenshannon(p, q, base=2)`, the square root of the divergence.
 */
const scipy = [
  {
    published: [0.25, 0.25, 0.25, 0.25],
    staged: [0.2, 0.3, 0.1, 0.4],
    psi: 0.22821740957339182,
    distance: 0.20050332253142814,
  },
  {
    published: [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1],
    staged: [0.05, 0.08, 0.09, 0.1, 0.11, 0.12, 0.13, 0.12, 0.1, 0.1],
    psi: 0.056290727214685886,
    distance: 0.10010700486133162,
  },
  {
    published: [0.5, 0.3, 0.2],
    staged: [0.2, 0.3, 0.5],
    psi: 0.5497744391244931,
    distance: 0.3095409536771482,
  },
  {
    published: [0.999, 0.001],
    staged: [0.001, 0.999],
    psi: 13.785882538182515,
    distance: 0.9942797605616535,
  },
]

const index = (published: readonly number[], staged: readonly number[]) =>
  sumOf(stabilityTerms(published, staged))
const divergence = (published: readonly number[], staged: readonly number[]) =>
  sumOf(divergenceTerms(published, staged))

describe('population stability index', () => {
  test.each(scipy)('SciPy on $published and $staged', ({ published, staged, psi }) => {
    expect(index(published, staged)).toBeCloseTo(psi, 12)
    expect(index(staged, published)).toBeCloseTo(psi, 12)
  })

  test('by hand: from halves to three quarters and one', () => {
    // (0.75 - 0.5) * ln 1.5 + (0.25 - 0.5) * ln 0.5 = 0.25 * ln 3
    expect(index([0.5, 0.5], [0.75, 0.25])).toBeCloseTo(0.25 * Math.log(3), 15)
    expect(stabilityTerms([0.5, 0.5], [0.5, 0.5])).toEqual([0, 0])
  })

  test('an empty bin is infinitely far without the half that smoothing adds', () => {
    expect(index(sharesOf([10, 0, 30]), sharesOf([5, 5, 30]))).toBe(Infinity)
    expect(smoothedShares([10, 0, 30])).toEqual([10.5 / 41.5, 0.5 / 41.5, 30.5 / 41.5])
    // SciPy, on the smoothed shares
    expect(index(smoothedShares([10, 0, 30]), smoothedShares([5, 5, 30]))).toBeCloseTo(0.3668099322558341, 12)
  })
})

describe('Jensen-Shannon divergence', () => {
  test.each(scipy)('SciPy squared on $published and $staged', ({ published, staged, distance }) => {
    expect(divergence(published, staged)).toBeCloseTo(distance ** 2, 12)
    expect(divergence(staged, published)).toBeCloseTo(distance ** 2, 12)
  })

  test.each([
    { published: [1, 0, 0], staged: [0, 1, 0], distance: 1 },
    { published: [1, 0], staged: [0.5, 0.5], distance: 0.5579230452841438 },
    { published: [0.6, 0.4, 0], staged: [0.3, 0.3, 0.4], distance: 0.49187094553702987 },
  ])('SciPy squared with empty bins, $published and $staged', ({ published, staged, distance }) => {
    expect(divergence(published, staged)).toBeCloseTo(distance ** 2, 12)
  })

  test('by hand: all against halves', () => {
    // The mean is (3/4, 1/4): half of log2(4/3), and half of (log2(2/3) + log2(2)) / 2.
    const expected = Math.log2(4 / 3) / 2 + (Math.log2(2 / 3) + Math.log2(2)) / 4
    expect(divergence([1, 0], [0.5, 0.5])).toBeCloseTo(expected, 15)
    expect(divergence([0.2, 0.8], [0.2, 0.8])).toBe(0)
  })
})
