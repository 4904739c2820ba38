// What promises and timers cost: node tasks.js yield|spawn|gather|timer|executor COUNT
'use strict';
const AT_ONCE = 1000;
const OTHERS = 10000;
const nothing = async () => {};
const never = () => { throw new Error('a timer fired'); };

async function takeTurns(count) {
	for (let i = 0; i < count; i++)
		await null;
}

const workloads = {
	yield: count => Promise.all([takeTurns(count / 2), takeTurns(count / 2)]),
	async spawn(count) {
		for (let i = 0; i < count; i++)
			await nothing();
	},
	async gather(count) {
		for (; count >= AT_ONCE; count -= AT_ONCE)
			await Promise.all(Array.from({ length: AT_ONCE }, nothing));
	},
	timer(count) {
		const others = Array.from({ length: OTHERS }, (_, i) => setTimeout(never, 30000 + i * 7919 % OTHERS));
		for (let i = 0; i < count; i++)
			clearTimeout(setTimeout(never, 30000 + i % OTHERS));
		others.forEach(clearTimeout);
	},
};

async function main(run, count) {
	await run(Math.floor(count / 20) + 1); // warm up, as timed.h does
	const start = performance.now();
	await run(count);
	console.log(JSON.stringify({ jobs: count, elapsed_s: (performance.now() - start) / 1000 }));
}

main(workloads[process.argv[2]], Number(process.argv[3]));
