import { createServer } from 'node:http';
import express from 'express';
import { serve } from './child.js';

/** Contestant a: reads the notification as JSON, and does nothing with it. */
const app = express();
app.use(express.json());
app.post('/', (_request, response) => {
  response.json({});
});
serve(createServer(app));
