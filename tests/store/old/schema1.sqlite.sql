BEGIN TRANSACTION;
CREATE TABLE mlframe_aliases (
	name VARCHAR(200) NOT NULL, 
	alias VARCHAR(80) NOT NULL, 
	number INTEGER NOT NULL, 
	PRIMARY KEY (name, alias), 
	FOREIGN KEY(name, number) REFERENCES mlframe_versions (name, number)
);
INSERT INTO "mlframe_aliases" VALUES('email','staging',2);
INSERT INTO "mlframe_aliases" VALUES('email','champion',1);
CREATE TABLE mlframe_artifact_files (
	"key" VARCHAR(200) NOT NULL, 
	file VARCHAR(500) NOT NULL, 
	address VARCHAR(80) NOT NULL, 
	size BIGINT NOT NULL, 
	PRIMARY KEY ("key", file), 
	FOREIGN KEY("key") REFERENCES mlframe_artifacts ("key") ON DELETE CASCADE
);
INSERT INTO "mlframe_artifact_files" VALUES('key','value.json','080a9ed428559ef602668b4c00f114f1a11c3f6b02a435f0bdc154578e4d7f22',3);
CREATE TABLE mlframe_artifacts (
	"key" VARCHAR(200) NOT NULL, 
	step TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	name TEXT NOT NULL, 
	created VARCHAR(40) NOT NULL, 
	used VARCHAR(40) NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "mlframe_artifacts" VALUES('key','s','json','x','2026-11-25T02:32:38.121573+00:00','2026-11-25T02:32:38.121573+00:00');
CREATE TABLE mlframe_holdout_uses (
	run_id VARCHAR(40) NOT NULL, 
	split_key VARCHAR(200) NOT NULL, 
	data_fingerprint TEXT NOT NULL, 
	"when" VARCHAR(40) NOT NULL, 
	PRIMARY KEY (run_id, split_key), 
	FOREIGN KEY(run_id) REFERENCES mlframe_runs (id)
);
INSERT INTO "mlframe_holdout_uses" VALUES('20261125-023238-fff7','k','f','2026-11-25T02:32:38.096156+00:00');
INSERT INTO "mlframe_holdout_uses" VALUES('20261125-023238-de54','k','f','2026-11-25T02:32:38.103595+00:00');
INSERT INTO "mlframe_holdout_uses" VALUES('20261125-023238-8276','k','f','2026-11-25T02:32:38.110220+00:00');
CREATE TABLE mlframe_log (
	id INTEGER NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	alias VARCHAR(80) NOT NULL, 
	action VARCHAR(20) NOT NULL, 
	"before" INTEGER, 
	"after" INTEGER NOT NULL, 
	"when" VARCHAR(40) NOT NULL, 
	who TEXT NOT NULL, 
	why TEXT NOT NULL, 
	evidence JSON NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(name) REFERENCES mlframe_names (name)
);
INSERT INTO "mlframe_log" VALUES(1,'email','champion','promote',NULL,1,'2026-11-25T02:32:38.114229+00:00','ada','first','{"n": 1}');
INSERT INTO "mlframe_log" VALUES(2,'email','champion','promote',1,3,'2026-11-25T02:32:38.116449+00:00','ada','größer','{}');
INSERT INTO "mlframe_log" VALUES(3,'email','staging','promote',NULL,2,'2026-11-25T02:32:38.118065+00:00','bob','','{}');
INSERT INTO "mlframe_log" VALUES(4,'email','champion','rollback',3,1,'2026-11-25T02:32:38.120132+00:00','bob','complaints','{}');
CREATE TABLE mlframe_meta (
	"key" VARCHAR(40) NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "mlframe_meta" VALUES('schema','1');
CREATE TABLE mlframe_names (
	name VARCHAR(200) NOT NULL, 
	last INTEGER NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "mlframe_names" VALUES('email',3);
CREATE TABLE mlframe_runs (
	id VARCHAR(40) NOT NULL, 
	task TEXT NOT NULL, 
	name TEXT NOT NULL, 
	"group" TEXT, 
	status VARCHAR(20) NOT NULL, 
	started VARCHAR(40) NOT NULL, 
	finished VARCHAR(40), 
	host TEXT NOT NULL, 
	pid INTEGER NOT NULL, 
	pid_started TEXT, 
	config JSON NOT NULL, 
	unresolved JSON NOT NULL, 
	facts JSON NOT NULL, 
	summary JSON NOT NULL, 
	extra JSON NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "mlframe_runs" VALUES('20261125-023238-fff7','train','email',NULL,'finished','2026-11-25T02:32:38.085724+00:00','2026-11-25T02:32:38.096978+00:00','laptop',4711,'815','{"model": {"name": "lgbm"}}','{}','{"seed": 1}','{"version": "email/1"}','{}');
INSERT INTO "mlframe_runs" VALUES('20261125-023238-de54','train','email',NULL,'finished','2026-11-25T02:32:38.098127+00:00','2026-11-25T02:32:38.104069+00:00','laptop',4711,'815','{"model": {"name": "lgbm"}}','{}','{"seed": 2}','{"version": "email/2"}','{}');
INSERT INTO "mlframe_runs" VALUES('20261125-023238-8276','train','email',NULL,'finished','2026-11-25T02:32:38.104725+00:00','2026-11-25T02:32:38.110701+00:00','laptop',4711,'815','{"model": {"name": "lgbm"}}','{}','{"seed": 3}','{"version": "email/3"}','{}');
CREATE TABLE mlframe_steps (
	id INTEGER NOT NULL, 
	run_id VARCHAR(40) NOT NULL, 
	step TEXT NOT NULL, 
	status VARCHAR(20) NOT NULL, 
	seconds FLOAT NOT NULL, 
	cached BOOLEAN NOT NULL, 
	"key" TEXT, 
	peak_memory BIGINT, 
	error TEXT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(run_id) REFERENCES mlframe_runs (id)
);
INSERT INTO "mlframe_steps" VALUES(1,'20261125-023238-fff7','fit','finished',1.5,0,'k1',1048576,NULL);
INSERT INTO "mlframe_steps" VALUES(2,'20261125-023238-de54','fit','finished',1.5,0,'k2',1048576,NULL);
INSERT INTO "mlframe_steps" VALUES(3,'20261125-023238-8276','fit','finished',1.5,0,'k3',1048576,NULL);
CREATE TABLE mlframe_version_files (
	name VARCHAR(200) NOT NULL, 
	number INTEGER NOT NULL, 
	file VARCHAR(500) NOT NULL, 
	address VARCHAR(80) NOT NULL, 
	size BIGINT NOT NULL, 
	PRIMARY KEY (name, number, file), 
	FOREIGN KEY(name, number) REFERENCES mlframe_versions (name, number)
);
INSERT INTO "mlframe_version_files" VALUES('email',1,'model.txt','d2f2a960df4c3a5b3fa08474cfe532896072e517c4b89ade2c1f145c507e487b',7);
INSERT INTO "mlframe_version_files" VALUES('email',1,'manifest.json','f34b196e955541e09663410b8819957ab2f288bc49462fd1989f3de7eb762f94',200);
INSERT INTO "mlframe_version_files" VALUES('email',2,'model.txt','88c532d8ef303409baf9c0c94ebbb5f4e81f42d3de919e175b07893bca0eb8ab',7);
INSERT INTO "mlframe_version_files" VALUES('email',2,'manifest.json','56e877493f4b9785d0627d3d6f4a45708f7a65cd13b7792f85071cf8871b7d92',200);
INSERT INTO "mlframe_version_files" VALUES('email',3,'model.txt','c3ddf42999dbe2f21b4edfab1df22702c9c4cd34e0a4b78a3477e8954cfea609',7);
INSERT INTO "mlframe_version_files" VALUES('email',3,'manifest.json','19e4842ed6cf95896491c0fe34394f37c5dc6a4479cefae5fd9d9dc60834a8f5',200);
CREATE TABLE mlframe_versions (
	name VARCHAR(200) NOT NULL, 
	number INTEGER NOT NULL, 
	run_id TEXT NOT NULL, 
	created VARCHAR(40) NOT NULL, 
	figures JSON NOT NULL, 
	facts JSON NOT NULL, 
	PRIMARY KEY (name, number), 
	FOREIGN KEY(name) REFERENCES mlframe_names (name)
);
INSERT INTO "mlframe_versions" VALUES('email',1,'20261125-023238-fff7','2026-11-25T02:32:38.094384+00:00','{"holdout": {"roc_auc": {"value": 0.1}}}','{"metric": "roc_auc", "passed": true}');
INSERT INTO "mlframe_versions" VALUES('email',2,'20261125-023238-de54','2026-11-25T02:32:38.102563+00:00','{"holdout": {"roc_auc": {"value": 0.2}}}','{"metric": "roc_auc", "passed": true}');
INSERT INTO "mlframe_versions" VALUES('email',3,'20261125-023238-8276','2026-11-25T02:32:38.109029+00:00','{"holdout": {"roc_auc": {"value": 0.3}}}','{"metric": "roc_auc", "passed": true}');
CREATE INDEX ix_mlframe_runs_started ON mlframe_runs (started);
CREATE INDEX ix_mlframe_runs_group ON mlframe_runs ("group");
CREATE INDEX ix_mlframe_runs_status ON mlframe_runs (status);
CREATE INDEX ix_mlframe_runs_name ON mlframe_runs (name);
CREATE INDEX ix_mlframe_artifacts_used ON mlframe_artifacts (used);
CREATE INDEX ix_mlframe_steps_run_id ON mlframe_steps (run_id);
CREATE INDEX ix_mlframe_artifact_files_address ON mlframe_artifact_files (address);
CREATE INDEX ix_mlframe_log_name ON mlframe_log (name);
CREATE INDEX ix_mlframe_holdout_uses_split_key ON mlframe_holdout_uses (split_key);
CREATE INDEX ix_mlframe_version_files_address ON mlframe_version_files (address);
COMMIT;
