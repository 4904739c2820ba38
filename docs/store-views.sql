-- Views over a store (docs/store.md): states as words, ids as text, times in ISO 8601.
--
--	gather backup jobs.db
--	sqlite3 -readonly -init store-views.sql jobs.db 'SELECT id, state, accepted FROM job_list LIMIT 10'
--
-- They last as long as the session: nothing is written to the file.

CREATE TEMP VIEW job_list AS SELECT
	sequence,
	lower(substr(hex(id), 1, 8) || '-' || substr(hex(id), 9, 4) || '-' || substr(hex(id), 13, 4) || '-' || substr(hex(id), 17, 4) || '-' || substr(hex(id), 21)) AS id,
	type, queue,
	CASE state WHEN 1 THEN 'ready' WHEN 2 THEN 'running' WHEN 3 THEN 'retrying' WHEN 4 THEN 'succeeded' WHEN 5 THEN 'failed'
		WHEN 6 THEN 'cancelled' WHEN 7 THEN 'scheduled' WHEN 8 THEN 'blocked' WHEN 9 THEN 'expired' WHEN 10 THEN 'accepted'
		ELSE '?' END AS state,
	CASE durability WHEN 0 THEN 'memory' WHEN 1 THEN 'write' WHEN 2 THEN 'fsync' ELSE '?' END AS durability,
	priority, attempts, failures, crashes,
	CASE WHEN accepted_wall BETWEEN 1 AND 9223372036000000000 THEN strftime('%Y-%m-%dT%H:%M:%S', accepted_wall / 1000000000, 'unixepoch') || printf('.%03dZ', accepted_wall / 1000000 % 1000) END AS accepted,
	CASE WHEN started_wall BETWEEN 1 AND 9223372036000000000 THEN strftime('%Y-%m-%dT%H:%M:%S', started_wall / 1000000000, 'unixepoch') || printf('.%03dZ', started_wall / 1000000 % 1000) END AS started,
	CASE WHEN finished_wall BETWEEN 1 AND 9223372036000000000 THEN strftime('%Y-%m-%dT%H:%M:%S', finished_wall / 1000000000, 'unixepoch') || printf('.%03dZ', finished_wall / 1000000 % 1000) END AS finished,
	CASE WHEN due_wall BETWEEN 1 AND 9223372036000000000 THEN strftime('%Y-%m-%dT%H:%M:%S', due_wall / 1000000000, 'unixepoch') || printf('.%03dZ', due_wall / 1000000 % 1000) END AS due,
	CASE WHEN deadline_wall BETWEEN 1 AND 9223372036000000000 THEN strftime('%Y-%m-%dT%H:%M:%S', deadline_wall / 1000000000, 'unixepoch') || printf('.%03dZ', deadline_wall / 1000000 % 1000) END AS deadline,
	CASE WHEN expires_wall BETWEEN 1 AND 9223372036000000000 THEN strftime('%Y-%m-%dT%H:%M:%S', expires_wall / 1000000000, 'unixepoch') || printf('.%03dZ', expires_wall / 1000000 % 1000) END AS expires,
	trim(replace(tags, char(10), ' ')) AS tags,
	group_sequence, key, limit_key, error_code, error_message, options, args, meta, body
FROM jobs;

CREATE TEMP VIEW attempt_list AS SELECT
	sequence, attempt, slot,
	CASE WHEN started_wall BETWEEN 1 AND 9223372036000000000 THEN strftime('%Y-%m-%dT%H:%M:%S', started_wall / 1000000000, 'unixepoch') || printf('.%03dZ', started_wall / 1000000 % 1000) END AS started,
	CASE WHEN ended_wall BETWEEN 1 AND 9223372036000000000 THEN strftime('%Y-%m-%dT%H:%M:%S', ended_wall / 1000000000, 'unixepoch') || printf('.%03dZ', ended_wall / 1000000 % 1000) END AS ended,
	CASE outcome WHEN 0 THEN 'worker died' WHEN 1 THEN 'succeeded' WHEN 2 THEN 'failed' WHEN 3 THEN 'timed out'
		WHEN 4 THEN 'cancelled' WHEN 5 THEN 'abandoned' WHEN 6 THEN 'returned' ELSE '?' END AS outcome,
	error_signal, error_code, error_message, log
FROM attempts;

CREATE TEMP VIEW group_list AS SELECT
	sequence,
	lower(substr(hex(id), 1, 8) || '-' || substr(hex(id), 9, 4) || '-' || substr(hex(id), 13, 4) || '-' || substr(hex(id), 17, 4) || '-' || substr(hex(id), 21)) AS id,
	CASE state WHEN 1 THEN 'ready' WHEN 2 THEN 'running' WHEN 3 THEN 'retrying' WHEN 4 THEN 'succeeded' WHEN 5 THEN 'failed'
		WHEN 6 THEN 'cancelled' WHEN 7 THEN 'scheduled' WHEN 8 THEN 'blocked' WHEN 9 THEN 'expired' WHEN 10 THEN 'accepted'
		ELSE '?' END AS state,
	parent, member, length(members) / 8 AS members,
	CASE WHEN accepted_wall BETWEEN 1 AND 9223372036000000000 THEN strftime('%Y-%m-%dT%H:%M:%S', accepted_wall / 1000000000, 'unixepoch') || printf('.%03dZ', accepted_wall / 1000000 % 1000) END AS accepted,
	CASE WHEN finished_wall BETWEEN 1 AND 9223372036000000000 THEN strftime('%Y-%m-%dT%H:%M:%S', finished_wall / 1000000000, 'unixepoch') || printf('.%03dZ', finished_wall / 1000000 % 1000) END AS finished,
	CASE WHEN expires_wall BETWEEN 1 AND 9223372036000000000 THEN strftime('%Y-%m-%dT%H:%M:%S', expires_wall / 1000000000, 'unixepoch') || printf('.%03dZ', expires_wall / 1000000 % 1000) END AS expires,
	spec, progress, error
FROM groups;

CREATE TEMP VIEW key_list AS SELECT
	key,
	lower(substr(hex(id), 1, 8) || '-' || substr(hex(id), 9, 4) || '-' || substr(hex(id), 13, 4) || '-' || substr(hex(id), 17, 4) || '-' || substr(hex(id), 21)) AS id,
	sequence,
	CASE WHEN expires_wall BETWEEN 1 AND 9223372036000000000 THEN strftime('%Y-%m-%dT%H:%M:%S', expires_wall / 1000000000, 'unixepoch') || printf('.%03dZ', expires_wall / 1000000 % 1000) END AS expires
FROM keys;
