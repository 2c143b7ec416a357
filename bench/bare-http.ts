import { createServer } from 'node:http';
import { serve } from './child.js';

/** The least that an exchange over HTTP can be: the body is read, and nothing done with it. */
const server = createServer((request, response) => {
  request.resume().on('end', () => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': 2 }).end('{}');
  });
});
serve(server);
