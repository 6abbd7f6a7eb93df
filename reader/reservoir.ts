/**
 * A fair choice of a few out of a stream whose length nobody knows: after any number of items each of them stands in the
 * reservoir with the same chance. How many items are passed over is drawn beforehand, so that most of them cost one
 * addition and one comparison (algorithm L; K.-H. Li, Reservoir-Sampling Algorithms of Time Complexity O(n(1 + log(N/n)))).
 */
export interface Reservoir {
  /** Of the next item: the place to put it, over what is there, or -1 where it is passed over. */
  next(): number
  /** Begins anew. */
  clear(): void
}

/** @param random as Math.random, but never 0 */
export function reservoir(size: number, random: () => number = openRandom): Reservoir {
  let seen = 0
  let wanted = 0
  let weight = 1
  const drawNext = () => {
    weight *= Math.exp(Math.log(random()) / size)
    wanted += Math.floor(Math.log(random()) / Math.log1p(-weight)) + 1
  }
  return {
    next() {
      seen++
      if (seen <= size) {
        if (seen === size) {
          wanted = size
          drawNext()
        }
        return seen - 1
      }
      if (seen < wanted) return -1
      drawNext()
      return Math.floor(random() * size)
    },
    clear() {
      seen = 0
      weight = 1
    },
  }
}

/** Its logarithm is finite. */
const openRandom = () => 1 - Math.random()
