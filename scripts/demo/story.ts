/** The demo's voice: numbered steps, each with its time, and claims that end it when they are false. */
import { bold, CheckFailed, dim, green, red, say } from '../output.ts'

export class Story {
  private step = 0
  private readonly began = Date.now()

  /** Tells one step: its title first, then what happens in it, then how long it took. */
  async tell<T>(title: string, happen: () => Promise<T>): Promise<T> {
    this.step += 1
    say()
    say(bold(`${this.step}. ${title}`))
    const began = Date.now()
    const result = await happen()
    say(dim(`   ${seconds(Date.now() - began)}`))
    return result
  }

  /** Says something that was computed over all rows; a false one ends the demo. */
  claim(holds: boolean, sentence: string): void {
    say(`   ${holds ? green('✓') : red('✗')} ${sentence}`)
    if (!holds) throw new CheckFailed('a claim of the demo is false')
  }

  end(): void {
    say()
    say(dim(`The whole story took ${seconds(Date.now() - this.began)}.`))
  }
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`
