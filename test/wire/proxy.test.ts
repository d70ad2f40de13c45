import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';

import { failure, TestEnvironment } from '../engine/testEnvironment';

/**
 * A submit that goes through a proxy, as n8n sends it when its operator has set HTTPS_PROXY. The address does not exist, so
 * what does not reach the proxy reaches nothing.
 */

const BASE_URL = 'https://runcomfy.invalid';
type Answer = '407' | '403' | '503' | 'dropped' | 'opened, then closed';

/** What arrived at the proxy, and behind it. */
let connects: string[];
let bytesBehind: number;
let answer: Answer;
let proxy: Server;
const behind = createTcpServer((socket) => {
	socket.on('data', (data) => {
		bytesBehind += data.length;
		socket.destroy();
	});
	socket.on('error', () => {});
});

beforeAll(async () => {
	proxy = createServer().on('connect', (request, socket: Socket) => {
		connects.push(request.url ?? '');
		socket.on('error', () => {});
		if (answer === 'dropped') socket.destroy();
		else if (answer !== 'opened, then closed')
			socket.end(`HTTP/1.1 ${answer} No\r\nContent-Length: 0\r\n\r\n`);
		else {
			socket.write('HTTP/1.1 200 OK\r\n\r\n');
			const target = connect((behind.address() as AddressInfo).port, '127.0.0.1');
			target.on('error', () => {});
			socket.pipe(target).pipe(socket);
		}
	});
	for (const server of [proxy, behind])
		await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	process.env.HTTPS_PROXY = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
});
afterAll(() => {
	delete process.env.HTTPS_PROXY;
	proxy.close();
	behind.close();
});

const NOT_KNOWN = 'It is not known whether RunComfy accepted this request';

test.each<[Answer, string]>([
	['407', 'Nothing was submitted: the proxy of n8n asks for a login'],
	['dropped', 'Nothing was submitted: RunComfy could not be reached'],
	// These may also be RunComfy's own answers: a refusal, and one that says nothing about the request.
	['403', 'Nothing was submitted: '],
	['503', `${NOT_KNOWN}: it answered with HTTP 503`],
	['opened, then closed', `${NOT_KNOWN}: the connection was lost`],
])('a proxy that answers %s', async (given, says) => {
	answer = given;
	connects = [];
	bytesBehind = 0;
	const env = await TestEnvironment.open({ credential: { baseUrl: BASE_URL, platformBaseUrl: BASE_URL } });
	const { message, description } = failure(await env.run());
	expect(message).toContain(says);
	expect(description.includes('the proxy may have refused')).toBe(given === '403');
	expect(new Set(connects)).toEqual(new Set(['runcomfy.invalid:443']));
	expect(connects.length > 1).toBe(given === 'dropped');
	expect(bytesBehind > 0).toBe(given === 'opened, then closed');
});
