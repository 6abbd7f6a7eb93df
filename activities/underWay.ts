/** Work that need not wait for the piece before it, in bounded numbers. */

export interface UnderWay {
  /** Begins a piece of work, once fewer than `most` are under way. @throws what a piece before it has thrown */
  begin(work: () => Promise<void>): Promise<void>
  /** Comes back when all have ended. @throws what the first of them has thrown */
  end(): Promise<void>
}

export function underWay(most: number): UnderWay {
  const running = new Set<Promise<void>>()
  let failure: { readonly error: unknown } | null = null
  const check = () => {
    if (failure !== null) throw failure.error
  }
  const run = async (work: () => Promise<void>) => {
    try {
      await work()
    } catch (error) {
      failure ??= { error }
    }
  }
  return {
    async begin(work) {
      while (running.size >= most) await Promise.race(running)
      check()
      const piece = run(work).finally(() => running.delete(piece))
      running.add(piece)
    },
    async end() {
      await Promise.all(running)
      check()
    },
  }
}
