import { expect, onTestFinished, test } from 'vitest';
import { startBackend } from '../../models/backend.ts';
import { startLying } from '../support-client/lying-coordinator.ts';
import { toySettings } from '../support-client/toy-task.ts';

test('a sum that is sent again is taken in once', async () => {
  const federation = await startLying({
    backend: await startBackend('cpu'),
    lie: (to, message) => {
      if (to.name !== 'ada' || message.type !== 'opened') return undefined;
      return [message, { ...message, ledger: { entries: [], note: message.ledger.note } }];
    },
  });
  onTestFinished(() => federation.close());
  const conductor = federation.run(toySettings({ protocol: 'plain' }));
  await federation.over(conductor);
  const finished = () =>
    ['ada', 'bob'].flatMap((name) => federation.tenant(name).events.filter(({ type }) => type === 'finished'));
  await federation.until(() => finished().length === 2, 'the end of the task, for both');
  const [ada, bob] = finished();
  expect(ada).toEqual(bob);
  expect(federation.tenant('ada').told.filter(({ type }) => type === 'opened')).toHaveLength(4);
  expect(federation.tenant('ada').events.filter(({ type }) => type === 'declined')).toEqual([]);
});
