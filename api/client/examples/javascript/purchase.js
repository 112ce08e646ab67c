// Sends a challenge log over HTTP, safely again and again, and reads its reward from Kafka.
//   npm install && API=… KEY=… SECRET=… KAFKA=127.0.0.1:9092 CHALLENGE=<id> USER_ID=joe npm start
import { setTimeout as pause } from "node:timers/promises";
import { decompress } from "fzstd";
import kafkajs from "kafkajs";

const { API, KEY, SECRET, KAFKA, CHALLENGE, USER_ID, PREFIX = "" } = process.env;
const NOT_NOW = new Set([202, 408, 429, 502, 503, 504]);

// The body has its identity, `uniqueIdentifier`: whatever is sent again counts once.
async function send(path, body, seconds = 30) {
  const end = Date.now() + seconds * 1000;
  for (let wait = 100; ; wait = Math.min(2 * wait, 5000)) {
    let why, retryAfter = 0;
    try {
      const answer = await fetch(API + path, {
        method: "POST",
        headers: { "x-api-key": KEY, "x-api-secret": SECRET, "content-type": "application/json" },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(Math.max(1, Math.min(10_000, end - Date.now()))),
      });
      if (!NOT_NOW.has(answer.status)) return { status: answer.status, body: await answer.json() };
      retryAfter = 1000 * (Number(answer.headers.get("retry-after")) || 0);
      await answer.body?.cancel();
    } catch (error) {
      why = error; // nobody knows whether it was taken
    }
    const next = Math.max(retryAfter, wait * (0.5 + Math.random() / 2));
    if (Date.now() + next >= end) throw new Error(`no answer in ${seconds} s; sending it again is safe`, { cause: why });
    await pause(next);
  }
}

// Outputs are compressed by zstd, which kafkajs leaves to a package.
kafkajs.CompressionCodecs[kafkajs.CompressionTypes.ZSTD] = () => ({
  compress: () => { throw new Error("this only reads"); },
  decompress: async (buffer) => Buffer.from(decompress(buffer)),
});
const kafka = new kafkajs.Kafka({ brokers: [KAFKA], logLevel: kafkajs.logLevel.ERROR });

// Reads rewards until `wanted` has come. kafkajs leaves aborted records out unless it is told otherwise,
// and commits an event once `eachMessage` is through.
async function reward(wanted, seconds = 60) {
  const consumer = kafka.consumer({ groupId: `${PREFIX}example-${USER_ID}`, readUncommitted: false });
  await consumer.connect();
  await consumer.subscribe({ topic: `${PREFIX}reward-events`, fromBeginning: true });
  const found = await new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`no reward in ${seconds} s`)), 1000 * seconds).unref();
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
    consumer.run({
      eachMessage: async ({ message }) => {
        const event = JSON.parse(message.value);
        if (event.data.id === wanted) resolve(event); // a type or a field that is new is no fault
      },
    });
  });
  await consumer.disconnect();
  return found;
}

const log = {
  challengeId: CHALLENGE,
  ownedBy: { externalId: USER_ID },
  activityId: "made_a_purchase",
  activityAt: new Date().toISOString(),
  uniqueIdentifier: "order-1001", // one identity for one purchase: its number
  activityValue: 87.5,
};
const first = await send("/schema/challenge_log/record", log);
console.log(JSON.stringify(first)); // 201
const again = await send("/schema/challenge_log/record", log);
console.log(JSON.stringify(again)); // 409, with the first answer under `record`
console.log(JSON.stringify(await reward(first.body.achievedMilestoneRewardLog.id)));
