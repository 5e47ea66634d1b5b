// nano, on Node. The job and the figures are those of work.py; the documents come from a file.
"use strict";
const fs = require("fs");
const path = require("path");
const job = JSON.parse(process.argv[2]);
const nano = require(path.join(job.more.modules, "nano"));

const PAGE = 1000;
const AT_A_TIME = 32;
let count = 0;
let total = 0;

const seen = (documents) => {
  for (const document of documents) {
    count += 1;
    total += document.serial;
  }
};
const named = (rows) => {
  for (const row of rows) {
    if (row.id[0] === "d") {
      count += 1;
      total += Number(row.id.slice(1));
    }
  }
};
const ids = () =>
  Array.from({ length: job.count }, (_, index) => "d" + String((index * 7919) % job.stored).padStart(7, "0"));

async function read(db, wanted) {
  for (const id of wanted) seen([await db.get(id)]);
}

const works = {
  async bulk(db, documents) {
    for (let start = 0; start < documents.length; start += 1000) {
      named(await db.bulk({ docs: documents.slice(start, start + 1000) }));
    }
  },
  get1: (db) => read(db, ids()),
  get32(db) {
    const all = ids();
    const parts = Array.from({ length: AT_A_TIME }, (_, n) => all.filter((_id, i) => i % AT_A_TIME === n));
    return Promise.all(parts.map((part) => read(db, part)));
  },
  async all(db) {
    const answer = await db.list({ include_docs: true });
    seen(answer.rows.filter((row) => row.id[0] !== "_").map((row) => row.doc));
  },
  async ids(db) {
    named((await db.list()).rows);
  },
  async changes(db) {
    named((await db.changes()).results);
  },
  async find(db) {
    const query = { selector: { type: "city" }, limit: PAGE };
    while (count < job.count) {
      const answer = await db.find(query);
      seen(answer.docs);
      query.bookmark = answer.bookmark;
    }
  },
  async save(db, documents) {
    for (const document of documents) named([await db.insert(document)]);
  },
};

function cpu() {
  const used = process.cpuUsage();
  return (used.user + used.system) / 1e6;
}

function peak() {
  const line = /^VmHWM:\s+(\d+)/m.exec(fs.readFileSync("/proc/self/status", "utf8"));
  return Number(line[1]);
}

async function main() {
  const documents = job.more.documents ? JSON.parse(fs.readFileSync(job.more.documents, "utf8")) : [];
  const url = job.url.replace("://", `://${job.user}:${job.password}@`);
  const db = nano(url).use(job.database);
  await db.info();
  const before = cpu();
  const start = performance.now();
  await works[job.work](db, documents);
  const wall = (performance.now() - start) / 1000;
  console.log(JSON.stringify({ cpu: cpu() - before, process: cpu(), wall, peak_kb: peak(), count, total }));
}

main();
