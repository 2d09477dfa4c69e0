import fc from 'fast-check';
import type { CoordinatorLife } from './coordinator-life.ts';
import { finish } from './finish.ts';
import { type Line, lines, resolved } from './lines.ts';
import { Lives } from './lives.ts';
import type { Target } from './target.ts';

/**
 * A coordinator and a tenant that has a key and bad intentions. What it says may be refused, or be recorded as its own word;
 * nothing else comes of it, and the others finish without it.
 */
export const coordinatorTenant = (): Target<Conversation> => ({
  name: 'coordinator-tenant',
  inputs: fc.record({ scene: fc.nat(99), lines: fc.array(lines(), { minLength: 1, maxLength: 10 }) }),
  async open() {
    const lives = await Lives.open(30);
    return {
      feed: ({ scene, lines }, saw) => lives.at(scene, (life) => speak(life, lines, saw)),
      async close() {
        await lives.close((played, life) => finish(played, life.folder, life.now));
      },
    };
  },
});

interface Conversation {
  readonly scene: number;
  readonly lines: readonly Line[];
}

async function speak(life: CoordinatorLife, lines: readonly Line[], saw: (outcome: string) => void): Promise<void> {
  const { hostile, coordinator, store } = life;
  const tasks = coordinator.tasks().map(({ id }) => id);
  for (const line of lines) {
    if (!hostile.isOpen) await life.welcome(hostile);
    life.wait(line.ms);
    if (line.ms > 0) await coordinator.tick();
    const writes = store.writes();
    hostile.told = [];
    say(life, line, tasks);
    await life.settled();
    life.checkForgeries();
    life.checkConnections();
    const became = !hostile.isOpen ? 'thrown out' : hostile.told.includes('refused') ? 'refused' : 'passed over';
    saw(store.writes() > writes ? 'recorded' : became);
  }
}

function say({ hostile }: CoordinatorLife, line: Line, tasks: readonly string[]): void {
  const frame = line.frame === 'next' ? undefined : hostile.last;
  if (frame === undefined) return hostile.say(resolved(line, hostile, tasks));
  const { seal, body } = frame;
  if (line.frame === 'again') return hostile.deliver(frame);
  if (line.frame === 'unsigned') return hostile.deliver({ seal: new Uint8Array(64), body });
  return hostile.deliver({ seal, body: Uint8Array.from(body, (byte, i) => (i === 0 ? byte ^ 1 : byte)) });
}
