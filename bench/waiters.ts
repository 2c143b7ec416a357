import http from 'node:http';
import { endWithParent } from './child.js';

/**
 * A process whose requests wait for cases that nobody completes, each on a connection of its own, and again as soon as
 * their time is up. Arguments: address of the service, its key, how many.
 */
const [url = '', key = '', count = ''] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true, maxSockets: Infinity });
const headers = { authorization: `Bearer ${key}`, prefer: 'wait=60', 'content-type': 'application/json' };

endWithParent();
for (let waiter = 0; waiter < Number(count); waiter += 1)
  wait(JSON.stringify({ cases: [{ case_id: `nobody-${waiter}` }] }));

function wait(body: string): void {
  http
    .request(`${url}/v1/cases/lookup`, { method: 'POST', headers, agent }, (response) => {
      response.resume().once('end', () => wait(body));
    })
    .once('error', () => setTimeout(() => wait(body), 100))
    .end(body);
}
