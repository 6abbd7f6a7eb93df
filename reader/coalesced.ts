/** Identical questions at one time are answered once. @param shared is told of each that another one was answered for */
export function coalesced(
  shared: () => void = () => undefined,
): <T>(question: string, answer: () => Promise<T>) => Promise<T> {
  const underWay = new Map<string, Promise<unknown>>()
  return <T>(question: string, answer: () => Promise<T>) => {
    const there = underWay.get(question)
    if (there !== undefined) {
      shared()
      return there as Promise<T>
    }
    const work = answer()
    const end = () => underWay.delete(question)
    underWay.set(question, work)
    work.then(end, end)
    return work
  }
}
