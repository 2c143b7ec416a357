import 'reflect-metadata';
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { plainToInstance } from 'class-transformer';
import { validate } from 'class-validator';
import express, { type Request, type Response } from 'express';
import { Pool } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { serve } from './child.js';
import { NotificationDto } from './notification.dto.js';
import { WRITE_ONE } from './one-statement.sql.js';

const pool = new Pool({ connectionString: process.argv[2], max: 10 });
pool.on('error', () => undefined);

/** Contestant d: everything that a notification leads to in one prepared statement of its own. */
const app = express();
app.use(express.json());
app.post('/', (request, response, forward) => {
  receive(request, response).catch(forward);
});
serve(createServer(app));

async function receive(request: Request, response: Response): Promise<void> {
  const notification = plainToInstance(NotificationDto, request.body as object);
  const errors = await validate(notification);
  if (errors.length > 0) {
    response.status(400).json({ message: errors.map(String) });
    return;
  }
  await write(notification);
  response.json({});
}

async function write(notification: NotificationDto): Promise<void> {
  const { workflow_id, workflow_name, case_id, callee_number, rows } = notification;
  const body = Buffer.from(JSON.stringify(notification));
  const digest = createHash('sha256').update(body).digest();
  const values = [
    workflow_id,
    workflow_name,
    case_id,
    callee_number,
    rows.map((row) => row.nodetask_id),
    rows.map((row) => row.nodetask_name),
    rows.map((row) => row.node_type),
    rows.map((row) => row.task_id ?? null),
    uuidv7(), // the notification's id
    uuidv7(), // the case's id, if it is a new one
    new Date(),
    digest,
    body,
  ];
  await pool.query({ name: 'write', text: WRITE_ONE, values });
}
