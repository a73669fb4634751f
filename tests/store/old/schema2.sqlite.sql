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
INSERT INTO "mlframe_artifacts" VALUES('key','s','json','x','2026-11-25T02:32:38.547386+00:00','2026-11-25T02:32:38.547386+00:00');
CREATE TABLE mlframe_holdout_uses (
	run_id VARCHAR(40) NOT NULL, 
	split_key VARCHAR(200) NOT NULL, 
	data_fingerprint TEXT NOT NULL, 
	"when" VARCHAR(40) NOT NULL, 
	PRIMARY KEY (run_id, split_key), 
	FOREIGN KEY(run_id) REFERENCES mlframe_runs (id)
);
INSERT INTO "mlframe_holdout_uses" VALUES('20261125-023238-2efc','k','f','2026-11-25T02:32:38.514301+00:00');
INSERT INTO "mlframe_holdout_uses" VALUES('20261125-023238-c8a9','k','f','2026-11-25T02:32:38.521711+00:00');
INSERT INTO "mlframe_holdout_uses" VALUES('20261125-023238-26f0','k','f','2026-11-25T02:32:38.534717+00:00');
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
INSERT INTO "mlframe_log" VALUES(1,'email','champion','promote',NULL,1,'2026-11-25T02:32:38.539019+00:00','ada','first','{"n": 1}');
INSERT INTO "mlframe_log" VALUES(2,'email','champion','promote',1,3,'2026-11-25T02:32:38.541609+00:00','ada','größer','{}');
INSERT INTO "mlframe_log" VALUES(3,'email','staging','promote',NULL,2,'2026-11-25T02:32:38.543264+00:00','bob','','{}');
INSERT INTO "mlframe_log" VALUES(4,'email','champion','rollback',3,1,'2026-11-25T02:32:38.545890+00:00','bob','complaints','{}');
CREATE TABLE mlframe_meta (
	"key" VARCHAR(40) NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "mlframe_meta" VALUES('schema','2');
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
INSERT INTO "mlframe_runs" VALUES('20261125-023238-2efc','train','email',NULL,'finished','2026-11-25T02:32:38.504059+00:00','2026-11-25T02:32:38.515120+00:00','laptop',4711,'815','{"model": {"name": "lgbm"}}','{}','{"seed": 1}','{"version": "email/1"}','{}');
INSERT INTO "mlframe_runs" VALUES('20261125-023238-c8a9','train','email',NULL,'finished','2026-11-25T02:32:38.516220+00:00','2026-11-25T02:32:38.522208+00:00','laptop',4711,'815','{"model": {"name": "lgbm"}}','{}','{"seed": 2}','{"version": "email/2"}','{}');
INSERT INTO "mlframe_runs" VALUES('20261125-023238-26f0','train','email',NULL,'finished','2026-11-25T02:32:38.522881+00:00','2026-11-25T02:32:38.535313+00:00','laptop',4711,'815','{"model": {"name": "lgbm"}}','{}','{"seed": 3}','{"version": "email/3"}','{}');
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
INSERT INTO "mlframe_steps" VALUES(1,'20261125-023238-2efc','fit','finished',1.5,0,'k1',1048576,NULL);
INSERT INTO "mlframe_steps" VALUES(2,'20261125-023238-c8a9','fit','finished',1.5,0,'k2',1048576,NULL);
INSERT INTO "mlframe_steps" VALUES(3,'20261125-023238-26f0','fit','finished',1.5,0,'k3',1048576,NULL);
CREATE TABLE mlframe_sweep_jobs (
	sweep_id VARCHAR(40) NOT NULL, 
	number INTEGER NOT NULL, 
	status VARCHAR(20) NOT NULL, 
	record JSON NOT NULL, 
	PRIMARY KEY (sweep_id, number), 
	FOREIGN KEY(sweep_id) REFERENCES mlframe_sweeps (id)
);
INSERT INTO "mlframe_sweep_jobs" VALUES('sweep-20261125-023238-77e5',0,'finished','{"score": 0.5}');
CREATE TABLE mlframe_sweeps (
	id VARCHAR(40) NOT NULL, 
	name TEXT NOT NULL, 
	status VARCHAR(20) NOT NULL, 
	started VARCHAR(40) NOT NULL, 
	finished VARCHAR(40), 
	host TEXT NOT NULL, 
	pid INTEGER NOT NULL, 
	pid_started TEXT, 
	record JSON NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "mlframe_sweeps" VALUES('sweep-20261125-023238-77e5','email','running','2026-11-25T02:32:38.549483+00:00',NULL,'laptop',4711,'815','{"axes": ["model=lgbm,linear"]}');
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
INSERT INTO "mlframe_version_files" VALUES('email',1,'manifest.json','9c79a6f9ef1b07b5aa9ccbd1ea39db9554f368f253f594b5c7cb4dd1b08ebfc0',200);
INSERT INTO "mlframe_version_files" VALUES('email',2,'model.txt','88c532d8ef303409baf9c0c94ebbb5f4e81f42d3de919e175b07893bca0eb8ab',7);
INSERT INTO "mlframe_version_files" VALUES('email',2,'manifest.json','cf02f5ff1521a10276956de4ebcb7411836995e8bfdcaba33adf9ceef3dcc02b',200);
INSERT INTO "mlframe_version_files" VALUES('email',3,'model.txt','c3ddf42999dbe2f21b4edfab1df22702c9c4cd34e0a4b78a3477e8954cfea609',7);
INSERT INTO "mlframe_version_files" VALUES('email',3,'manifest.json','c2c6fb353160e0d6bcf86d7f5b4299e4d57890e3b423388b7ff4c956da56a265',200);
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
INSERT INTO "mlframe_versions" VALUES('email',1,'20261125-023238-2efc','2026-11-25T02:32:38.512312+00:00','{"holdout": {"roc_auc": {"value": 0.1}}}','{"metric": "roc_auc", "passed": true}');
INSERT INTO "mlframe_versions" VALUES('email',2,'20261125-023238-c8a9','2026-11-25T02:32:38.520649+00:00','{"holdout": {"roc_auc": {"value": 0.2}}}','{"metric": "roc_auc", "passed": true}');
INSERT INTO "mlframe_versions" VALUES('email',3,'20261125-023238-26f0','2026-11-25T02:32:38.528498+00:00','{"holdout": {"roc_auc": {"value": 0.3}}}','{"metric": "roc_auc", "passed": true}');
CREATE INDEX ix_mlframe_runs_name ON mlframe_runs (name);
CREATE INDEX ix_mlframe_runs_group ON mlframe_runs ("group");
CREATE INDEX ix_mlframe_runs_status ON mlframe_runs (status);
CREATE INDEX ix_mlframe_runs_started ON mlframe_runs (started);
CREATE INDEX ix_mlframe_artifacts_used ON mlframe_artifacts (used);
CREATE INDEX ix_mlframe_sweeps_started ON mlframe_sweeps (started);
CREATE INDEX ix_mlframe_sweeps_name ON mlframe_sweeps (name);
CREATE INDEX ix_mlframe_steps_run_id ON mlframe_steps (run_id);
CREATE INDEX ix_mlframe_artifact_files_address ON mlframe_artifact_files (address);
CREATE INDEX ix_mlframe_log_name ON mlframe_log (name);
CREATE INDEX ix_mlframe_holdout_uses_split_key ON mlframe_holdout_uses (split_key);
CREATE INDEX ix_mlframe_version_files_address ON mlframe_version_files (address);
COMMIT;
