import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CoordinatorLife } from './coordinator-life.ts';
import { type Played, play } from './scenes.ts';

/** A coordinator for each scene, begun again now and then: one that has been told enough is past what the scene is about. */
export class Lives {
  readonly #played: Played;
  readonly #conversations: number;
  readonly #lives = new Map<number, { readonly life: CoordinatorLife; fed: number }>();
  readonly #ended: CoordinatorLife[] = [];

  private constructor(played: Played, conversations: number) {
    this.#played = played;
    this.#conversations = conversations;
  }

  /** @param conversations - with one life; then the next begins */
  static async open(conversations: number): Promise<Lives> {
    return new Lives(await played(), conversations);
  }

  /** @param scene - any number stands for one */
  async at(scene: number, use: (life: CoordinatorLife) => Promise<void>): Promise<void> {
    const { scenes } = this.#played;
    const number = scene % scenes.length;
    const one = this.#lives.get(number) ?? { life: await CoordinatorLife.open(this.#played, scenes[number]!), fed: 0 };
    this.#lives.set(number, one);
    one.fed += 1;
    await use(one.life);
    if (one.fed >= this.#conversations) this.#end(number);
  }

  /** @param look - at what a life has left on disk, of some of them */
  async close(look?: (played: Played, life: CoordinatorLife) => Promise<unknown>): Promise<void> {
    for (const number of [...this.#lives.keys()]) this.#end(number);
    if (look !== undefined) for (const life of this.#ended) await look(this.#played, life);
    for (const life of this.#ended.splice(0)) life.remove();
  }

  /** The last few that ended are kept to be looked at. */
  #end(number: number): void {
    const { life } = this.#lives.get(number)!;
    this.#lives.delete(number);
    life.end();
    this.#ended.push(life);
    if (this.#ended.length > LOOKED_AT) this.#ended.shift()!.remove();
  }
}

const LOOKED_AT = 2;

let before: Promise<Played> | undefined;

/** Played once for all of this process. */
export function played(): Promise<Played> {
  before ??= play(temporary());
  return before;
}

/** Gone with this process. In memory where the system has such a place: what is written there is not waited for. */
export function temporary(): string {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'parley-fuzz-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
