// A promise to each timer of one second: node sleeps.js COUNT
'use strict';
const count = Number(process.argv[2]);
const start = performance.now();
const sleep = () => new Promise(resolve => setTimeout(resolve, 1000));

Promise.all(Array.from({ length: count }, sleep)).then(() => {
	console.log(JSON.stringify({ jobs: count, elapsed_s: (performance.now() - start) / 1000 }));
});
