// An echo server, and a client: node net.js echo PORT; node net.js connect PORT COUNT AT_ONCE
'use strict';
const net = require('net');
const [, , what, ...words] = process.argv;
const [port, count, atOnce] = words.map(Number);

const connect = () => new Promise((resolve, reject) => {
	const socket = net.connect(port, '127.0.0.1', () => socket.destroy());
	socket.on('error', reject);
	socket.on('close', resolve);
});

async function connectAll() {
	const start = performance.now();
	await Promise.all(Array.from({ length: atOnce }, async () => {
		for (let i = 0; i < count / atOnce; i++)
			await connect();
	}));
	console.log(JSON.stringify({ jobs: count, elapsed_s: (performance.now() - start) / 1000 }));
}

if (what === 'echo') {
	net.createServer({ noDelay: true }, socket => {
		socket.on('data', data => socket.write(data));
		socket.on('error', () => socket.destroy());
	}).listen({ port, host: '127.0.0.1', backlog: 4096 });
} else {
	connectAll();
}
