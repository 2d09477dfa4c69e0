// Started with a limit on the size of files: writes facts until the disk will take no more, and says how far it came.
import { openSqliteStore } from '../../coordinator/store/sqlite.ts';

const store = openSqliteStore(process.argv[2]!);
let written = 0;
try {
  for (; written < 10_000; written++)
    store.commit(() => {
      store.addFact('task', { type: 'waiting', at: written });
      store.putBody(
        'task',
        { epoch: 1, round: written, stage: 'contribute', attempt: 1 },
        'amber',
        new Uint8Array(5000),
      );
    });
  console.log(JSON.stringify({ written }));
} catch (error) {
  const { errcode, message } = error as { errcode?: number; message: string };
  console.log(JSON.stringify({ written, errcode, message }));
}
