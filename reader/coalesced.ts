/** Identical questions at one time are answered once. */
export function coalesced(): <T>(question: string, answer: () => Promise<T>) => Promise<T> {
  const underWay = new Map<string, Promise<unknown>>()
  return <T>(question: string, answer: () => Promise<T>) => {
    const there = underWay.get(question)
    if (there !== undefined) return there as Promise<T>
    const work = answer().finally(() => underWay.delete(question))
    underWay.set(question, work)
    return work
  }
}
