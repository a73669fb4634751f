CREATE TABLE mlframe_aliases (
    name character varying(200) NOT NULL,
    alias character varying(80) NOT NULL,
    number integer NOT NULL
);
CREATE TABLE mlframe_artifact_files (
    key character varying(200) NOT NULL,
    file character varying(500) NOT NULL,
    address character varying(80) NOT NULL,
    size bigint NOT NULL
);
CREATE TABLE mlframe_artifacts (
    key character varying(200) NOT NULL,
    step text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    created character varying(40) NOT NULL,
    used character varying(40) NOT NULL
);
CREATE TABLE mlframe_holdout_uses (
    run_id character varying(40) NOT NULL,
    split_key character varying(200) NOT NULL,
    data_fingerprint text NOT NULL,
    "when" character varying(40) NOT NULL
);
CREATE TABLE mlframe_log (
    id integer NOT NULL,
    name character varying(200) NOT NULL,
    alias character varying(80) NOT NULL,
    action character varying(20) NOT NULL,
    before integer,
    after integer NOT NULL,
    "when" character varying(40) NOT NULL,
    who text NOT NULL,
    why text NOT NULL,
    evidence json NOT NULL
);
CREATE SEQUENCE mlframe_log_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE mlframe_log_id_seq OWNED BY mlframe_log.id;
CREATE TABLE mlframe_meta (
    key character varying(40) NOT NULL,
    value text NOT NULL
);
CREATE TABLE mlframe_names (
    name character varying(200) NOT NULL,
    last integer NOT NULL
);
CREATE TABLE mlframe_runs (
    id character varying(40) NOT NULL,
    task text NOT NULL,
    name text NOT NULL,
    "group" text,
    status character varying(20) NOT NULL,
    started character varying(40) NOT NULL,
    finished character varying(40),
    host text NOT NULL,
    pid integer NOT NULL,
    pid_started text,
    config json NOT NULL,
    unresolved json NOT NULL,
    facts json NOT NULL,
    summary json NOT NULL,
    extra json NOT NULL
);
CREATE TABLE mlframe_steps (
    id integer NOT NULL,
    run_id character varying(40) NOT NULL,
    step text NOT NULL,
    status character varying(20) NOT NULL,
    seconds double precision NOT NULL,
    cached boolean NOT NULL,
    key text,
    peak_memory bigint,
    error text
);
CREATE SEQUENCE mlframe_steps_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE mlframe_steps_id_seq OWNED BY mlframe_steps.id;
CREATE TABLE mlframe_version_files (
    name character varying(200) NOT NULL,
    number integer NOT NULL,
    file character varying(500) NOT NULL,
    address character varying(80) NOT NULL,
    size bigint NOT NULL
);
CREATE TABLE mlframe_versions (
    name character varying(200) NOT NULL,
    number integer NOT NULL,
    run_id text NOT NULL,
    created character varying(40) NOT NULL,
    figures json NOT NULL,
    facts json NOT NULL
);
ALTER TABLE ONLY mlframe_log ALTER COLUMN id SET DEFAULT nextval('mlframe_log_id_seq'::regclass);
ALTER TABLE ONLY mlframe_steps ALTER COLUMN id SET DEFAULT nextval('mlframe_steps_id_seq'::regclass);
INSERT INTO mlframe_aliases VALUES ('email', 'staging', 2);
INSERT INTO mlframe_aliases VALUES ('email', 'champion', 1);
INSERT INTO mlframe_artifact_files VALUES ('key', 'value.json', '080a9ed428559ef602668b4c00f114f1a11c3f6b02a435f0bdc154578e4d7f22', 3);
INSERT INTO mlframe_artifacts VALUES ('key', 's', 'json', 'x', '2026-11-25T02:33:24.215131+00:00', '2026-11-25T02:33:24.215131+00:00');
INSERT INTO mlframe_holdout_uses VALUES ('20261125-023324-0f4b', 'k', 'f', '2026-11-25T02:33:24.177853+00:00');
INSERT INTO mlframe_holdout_uses VALUES ('20261125-023324-6b20', 'k', 'f', '2026-11-25T02:33:24.189856+00:00');
INSERT INTO mlframe_holdout_uses VALUES ('20261125-023324-cd11', 'k', 'f', '2026-11-25T02:33:24.198288+00:00');
INSERT INTO mlframe_log VALUES (1, 'email', 'champion', 'promote', NULL, 1, '2026-11-25T02:33:24.204072+00:00', 'ada', 'first', '{"n": 1}');
INSERT INTO mlframe_log VALUES (2, 'email', 'champion', 'promote', 1, 3, '2026-11-25T02:33:24.207580+00:00', 'ada', 'größer', '{}');
INSERT INTO mlframe_log VALUES (3, 'email', 'staging', 'promote', NULL, 2, '2026-11-25T02:33:24.210091+00:00', 'bob', '', '{}');
INSERT INTO mlframe_log VALUES (4, 'email', 'champion', 'rollback', 3, 1, '2026-11-25T02:33:24.213669+00:00', 'bob', 'complaints', '{}');
INSERT INTO mlframe_meta VALUES ('schema', '1');
INSERT INTO mlframe_names VALUES ('email', 3);
INSERT INTO mlframe_runs VALUES ('20261125-023324-0f4b', 'train', 'email', NULL, 'finished', '2026-11-25T02:33:24.159201+00:00', '2026-11-25T02:33:24.179123+00:00', 'laptop', 4711, '815', '{"model": {"name": "lgbm"}}', '{}', '{"seed": 1}', '{"version": "email/1"}', '{}');
INSERT INTO mlframe_runs VALUES ('20261125-023324-6b20', 'train', 'email', NULL, 'finished', '2026-11-25T02:33:24.180480+00:00', '2026-11-25T02:33:24.190325+00:00', 'laptop', 4711, '815', '{"model": {"name": "lgbm"}}', '{}', '{"seed": 2}', '{"version": "email/2"}', '{}');
INSERT INTO mlframe_runs VALUES ('20261125-023324-cd11', 'train', 'email', NULL, 'finished', '2026-11-25T02:33:24.190938+00:00', '2026-11-25T02:33:24.198757+00:00', 'laptop', 4711, '815', '{"model": {"name": "lgbm"}}', '{}', '{"seed": 3}', '{"version": "email/3"}', '{}');
INSERT INTO mlframe_steps VALUES (1, '20261125-023324-0f4b', 'fit', 'finished', 1.5, false, 'k1', 1048576, NULL);
INSERT INTO mlframe_steps VALUES (2, '20261125-023324-6b20', 'fit', 'finished', 1.5, false, 'k2', 1048576, NULL);
INSERT INTO mlframe_steps VALUES (3, '20261125-023324-cd11', 'fit', 'finished', 1.5, false, 'k3', 1048576, NULL);
INSERT INTO mlframe_version_files VALUES ('email', 1, 'model.txt', 'd2f2a960df4c3a5b3fa08474cfe532896072e517c4b89ade2c1f145c507e487b', 7);
INSERT INTO mlframe_version_files VALUES ('email', 1, 'manifest.json', 'b74e6c44dabac8a0d5eea91d8463bb801c6c5093b43ab4f7e432df46d4ebf877', 200);
INSERT INTO mlframe_version_files VALUES ('email', 2, 'model.txt', '88c532d8ef303409baf9c0c94ebbb5f4e81f42d3de919e175b07893bca0eb8ab', 7);
INSERT INTO mlframe_version_files VALUES ('email', 2, 'manifest.json', '608e27af6189c465a988b0c8132f59b13e76da2485e335b9ae45bf3caa93f22e', 200);
INSERT INTO mlframe_version_files VALUES ('email', 3, 'model.txt', 'c3ddf42999dbe2f21b4edfab1df22702c9c4cd34e0a4b78a3477e8954cfea609', 7);
INSERT INTO mlframe_version_files VALUES ('email', 3, 'manifest.json', 'c391345bf7f802773a0c6c0713a84ec15bfd340077643fa93c77f7a58597a961', 200);
INSERT INTO mlframe_versions VALUES ('email', 1, '20261125-023324-0f4b', '2026-11-25T02:33:24.174634+00:00', '{"holdout": {"roc_auc": {"value": 0.1}}}', '{"metric": "roc_auc", "passed": true}');
INSERT INTO mlframe_versions VALUES ('email', 2, '20261125-023324-6b20', '2026-11-25T02:33:24.188343+00:00', '{"holdout": {"roc_auc": {"value": 0.2}}}', '{"metric": "roc_auc", "passed": true}');
INSERT INTO mlframe_versions VALUES ('email', 3, '20261125-023324-cd11', '2026-11-25T02:33:24.196753+00:00', '{"holdout": {"roc_auc": {"value": 0.3}}}', '{"metric": "roc_auc", "passed": true}');
SELECT pg_catalog.setval('mlframe_log_id_seq', 4, true);
SELECT pg_catalog.setval('mlframe_steps_id_seq', 3, true);
ALTER TABLE ONLY mlframe_aliases
    ADD CONSTRAINT mlframe_aliases_pkey PRIMARY KEY (name, alias);
ALTER TABLE ONLY mlframe_artifact_files
    ADD CONSTRAINT mlframe_artifact_files_pkey PRIMARY KEY (key, file);
ALTER TABLE ONLY mlframe_artifacts
    ADD CONSTRAINT mlframe_artifacts_pkey PRIMARY KEY (key);
ALTER TABLE ONLY mlframe_holdout_uses
    ADD CONSTRAINT mlframe_holdout_uses_pkey PRIMARY KEY (run_id, split_key);
ALTER TABLE ONLY mlframe_log
    ADD CONSTRAINT mlframe_log_pkey PRIMARY KEY (id);
ALTER TABLE ONLY mlframe_meta
    ADD CONSTRAINT mlframe_meta_pkey PRIMARY KEY (key);
ALTER TABLE ONLY mlframe_names
    ADD CONSTRAINT mlframe_names_pkey PRIMARY KEY (name);
ALTER TABLE ONLY mlframe_runs
    ADD CONSTRAINT mlframe_runs_pkey PRIMARY KEY (id);
ALTER TABLE ONLY mlframe_steps
    ADD CONSTRAINT mlframe_steps_pkey PRIMARY KEY (id);
ALTER TABLE ONLY mlframe_version_files
    ADD CONSTRAINT mlframe_version_files_pkey PRIMARY KEY (name, number, file);
ALTER TABLE ONLY mlframe_versions
    ADD CONSTRAINT mlframe_versions_pkey PRIMARY KEY (name, number);
CREATE INDEX ix_mlframe_artifact_files_address ON mlframe_artifact_files USING btree (address);
CREATE INDEX ix_mlframe_artifacts_used ON mlframe_artifacts USING btree (used);
CREATE INDEX ix_mlframe_holdout_uses_split_key ON mlframe_holdout_uses USING btree (split_key);
CREATE INDEX ix_mlframe_log_name ON mlframe_log USING btree (name);
CREATE INDEX ix_mlframe_runs_group ON mlframe_runs USING btree ("group");
CREATE INDEX ix_mlframe_runs_name ON mlframe_runs USING btree (name);
CREATE INDEX ix_mlframe_runs_started ON mlframe_runs USING btree (started);
CREATE INDEX ix_mlframe_runs_status ON mlframe_runs USING btree (status);
CREATE INDEX ix_mlframe_steps_run_id ON mlframe_steps USING btree (run_id);
CREATE INDEX ix_mlframe_version_files_address ON mlframe_version_files USING btree (address);
ALTER TABLE ONLY mlframe_aliases
    ADD CONSTRAINT mlframe_aliases_name_number_fkey FOREIGN KEY (name, number) REFERENCES mlframe_versions(name, number);
ALTER TABLE ONLY mlframe_artifact_files
    ADD CONSTRAINT mlframe_artifact_files_key_fkey FOREIGN KEY (key) REFERENCES mlframe_artifacts(key) ON DELETE CASCADE;
ALTER TABLE ONLY mlframe_holdout_uses
    ADD CONSTRAINT mlframe_holdout_uses_run_id_fkey FOREIGN KEY (run_id) REFERENCES mlframe_runs(id);
ALTER TABLE ONLY mlframe_log
    ADD CONSTRAINT mlframe_log_name_fkey FOREIGN KEY (name) REFERENCES mlframe_names(name);
ALTER TABLE ONLY mlframe_steps
    ADD CONSTRAINT mlframe_steps_run_id_fkey FOREIGN KEY (run_id) REFERENCES mlframe_runs(id);
ALTER TABLE ONLY mlframe_version_files
    ADD CONSTRAINT mlframe_version_files_name_number_fkey FOREIGN KEY (name, number) REFERENCES mlframe_versions(name, number);
ALTER TABLE ONLY mlframe_versions
    ADD CONSTRAINT mlframe_versions_name_fkey FOREIGN KEY (name) REFERENCES mlframe_names(name);
