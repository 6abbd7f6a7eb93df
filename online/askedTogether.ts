/**
 * Slots of one service that are asked for by one list of key texts share the keys of their values: the first names them,
 * the others take what is found under them.
 *
 * What is asked, or found, for a question is a list: some places of its own, then one for each text.
 */
import { valuesName } from './slotId.ts'

export class AskedTogether<Question extends object> {
  private leaders: Leader<Question>[] | null = null
  /** By question, the one that has named its keys; null where no question has such a one. */
  private followers: Map<Question, Leader<Question>> | null = null

  /**
   * @param own how many places the question has before those of its texts
   * @returns whether another question has named the keys of these texts
   */
  join(question: Question, slot: string, texts: readonly string[], own: number): boolean {
    const name = valuesName(slot)
    const leaders = (this.leaders ??= [])
    const leader = leaders.find((one) => one.name === name && one.texts === texts)
    if (leader === undefined) leaders.push({ question, name, texts, own })
    else (this.followers ??= new Map<Question, Leader<Question>>()).set(question, leader)
    return leader !== undefined
  }

  /** The lists of all questions as if each had named its keys itself. */
  complete<T>(questions: readonly Question[], lists: readonly (readonly T[])[]): readonly (readonly T[])[] {
    const { followers } = this
    if (followers === null) return lists
    return questions.map((question, at) => {
      const [list = [], leader] = [lists[at], followers.get(question)]
      if (leader === undefined) return list
      return [...list, ...(lists[questions.indexOf(leader.question)] ?? []).slice(leader.own)]
    })
  }
}

interface Leader<Question> {
  readonly question: Question
  readonly name: string
  readonly texts: readonly string[]
  readonly own: number
}
