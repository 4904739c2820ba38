#include "sqlite_statements.h"
#include "buf.h"
#include <string.h>

/* How a statement's text is made: $columns, $marks and $sets stand for those of its table. */
struct statement_text {
	const struct table *table;
	const char *text;
};

static const struct statement_text texts[STATEMENT_COUNT] = {
	[DO_BEGIN] = { NULL, "BEGIN IMMEDIATE" },
	[DO_COMMIT] = { NULL, "COMMIT" },
	[DO_ROLLBACK] = { NULL, "ROLLBACK" },
	[DO_SAVE_FACTS] = { &table_facts, "UPDATE facts SET $sets WHERE one=?1" },
	[DO_SAVE_BLOCK] = { &table_blocks, "REPLACE INTO blocks($columns) VALUES($marks)" },
	[DO_DROP_BLOCK] = { NULL, "DELETE FROM blocks WHERE block=?1" },
	[DO_INSERT_JOB] = { &table_jobs, "INSERT INTO jobs($columns) VALUES($marks)" },
	[DO_UPDATE_JOB] = { &table_jobs,
			    "UPDATE jobs SET $sets WHERE sequence=?1 AND expires_wall IS NULL" },
	[DO_UPDATE_ENDED] = { &table_jobs, "UPDATE jobs SET $sets WHERE sequence=?1" },
	[DO_LOOK_AT_JOB] = { NULL, "SELECT state FROM jobs WHERE sequence=?1" },
	[DO_DELETE_JOB] = { NULL, "DELETE FROM jobs WHERE sequence=?1" },
	[DO_READ_JOB] = { &table_jobs, "SELECT $columns FROM jobs WHERE sequence=?1" },
	[DO_LIST_JOBS] = { &table_jobs,
			   "SELECT $small FROM jobs WHERE sequence<?1 ORDER BY sequence DESC" },
	[DO_LOAD_JOBS] = { &table_jobs, "SELECT $columns FROM jobs WHERE sequence BETWEEN ?1 AND ?2"
					" AND expires_wall IS NULL ORDER BY sequence" },
	[DO_SAVE_ATTEMPT] = { &table_attempts, "REPLACE INTO attempts($columns) SELECT $marks"
					       " WHERE EXISTS(SELECT 1 FROM jobs WHERE sequence=?1)" },
	[DO_DELETE_ATTEMPTS] = { NULL, "DELETE FROM attempts WHERE sequence=?1" },
	[DO_READ_ATTEMPTS] = { &table_attempts,
			       "SELECT $columns FROM attempts WHERE sequence=?1 ORDER BY attempt" },
	[DO_INSERT_GROUP] = { &table_groups, "INSERT INTO groups($columns) VALUES($marks)" },
	[DO_UPDATE_GROUP] = { &table_groups, "UPDATE groups SET $sets WHERE sequence=?1" },
	[DO_DELETE_GROUP] = { NULL, "DELETE FROM groups WHERE sequence=?1" },
	[DO_READ_GROUP] = { &table_groups, "SELECT $columns FROM groups WHERE sequence=?1" },
	[DO_LIST_GROUPS] = { &table_groups, "SELECT $columns FROM groups WHERE sequence<?1 AND parent IS NULL"
					    " AND expires_wall IS NOT NULL ORDER BY sequence DESC" },
	[DO_LOAD_GROUPS] = { &table_groups, "SELECT $columns FROM groups WHERE expires_wall IS NULL"
					    " ORDER BY sequence" },
	[DO_INSERT_KEY] = { &table_keys, "INSERT OR IGNORE INTO keys($columns) VALUES($marks)" },
	[DO_READ_KEY] = { &table_keys, "SELECT $columns FROM keys WHERE key=?1" },
	[DO_DELETE_KEY] = { NULL, "DELETE FROM keys WHERE sequence=?1" },
	[DO_FIRST_KEYS] = { NULL, "SELECT sequence, expires_wall FROM keys ORDER BY sequence LIMIT ?1" },
	[DO_SAVE_DOCUMENT] = { &table_documents, "REPLACE INTO documents($columns) VALUES($marks)" },
	[DO_DELETE_DOCUMENT] = { NULL, "DELETE FROM documents WHERE kind=?1 AND name=?2" },
	[DO_LOAD_DOCUMENTS] = { &table_documents, "SELECT $columns FROM documents ORDER BY kind, name" },
	[DO_FIRST_EXPIRED_JOBS] = { NULL, "SELECT sequence, expires_wall FROM jobs WHERE"
					  " expires_wall IS NOT NULL ORDER BY expires_wall LIMIT ?1" },
	[DO_FIRST_EXPIRED_GROUPS] = { NULL, "SELECT sequence, expires_wall FROM groups WHERE"
					    " expires_wall IS NOT NULL ORDER BY expires_wall LIMIT ?1" },
	[DO_PAGE_COUNT] = { NULL, "PRAGMA page_count" },
	[DO_FREE_COUNT] = { NULL, "PRAGMA freelist_count" },
	[DO_VACUUM] = { NULL, "PRAGMA incremental_vacuum(64)" },
};

enum list_kind { LIST_COLUMNS, LIST_SMALL, LIST_MARKS, LIST_SETS };

static bool is_set(const struct column *c)
{
	return c->kind == COLUMN_NOW || (c->kind == COLUMN_SUM && c->sum_is_now);
}

static int append_list(struct buf *sql, const struct table *t, enum list_kind kind)
{
	unsigned count = kind == LIST_SMALL ? JOBS_SMALL : t->column_count;
	const char *comma = "";

	for (unsigned i = 0; i < count; i++) {
		const char *name = t->columns[i].name;
		int r;

		if (kind == LIST_SETS && !is_set(&t->columns[i]))
			continue;
		if (kind == LIST_MARKS)
			r = buf_printf(sql, "%s?%u", comma, i + 1);
		else if (kind == LIST_SETS)
			r = buf_printf(sql, "%s%s=?%u", comma, name, i + 1);
		else
			r = buf_printf(sql, "%s%s", comma, name);
		if (r < 0)
			return r;
		comma = ",";
	}
	return 0;
}

static int append_text(struct buf *sql, const struct statement_text *s)
{
	static const char *const words[] = {
		[LIST_COLUMNS] = "$columns", [LIST_SMALL] = "$small", [LIST_MARKS] = "$marks", [LIST_SETS] = "$sets"
	};
	const char *at = s->text;

	while (*at) {
		size_t plain = strcspn(at, "$");
		int r = buf_append(sql, at, plain);

		at += plain;
		for (size_t i = 0; *at && r >= 0 && i < ARRAY_SIZE(words); i++) {
			if (strncmp(at, words[i], strlen(words[i])) != 0)
				continue;
			r = append_list(sql, s->table, (enum list_kind)i);
			at += strlen(words[i]);
			break;
		}
		if (r < 0)
			return r;
	}
	return 0;
}

int statements_prepare(sqlite3 *db, sqlite3_stmt *ret_statements[STATEMENT_COUNT])
{
	struct buf sql = BUF_INIT;
	int r = SQLITE_OK;

	for (size_t i = 0; i < STATEMENT_COUNT && r == SQLITE_OK; i++) {
		buf_clear(&sql);
		if (append_text(&sql, &texts[i]) < 0) {
			r = SQLITE_NOMEM;
			break;
		}
		r = sqlite3_prepare_v3(db, buf_data(&sql), (int)buf_size(&sql),
				       SQLITE_PREPARE_PERSISTENT, &ret_statements[i], NULL);
	}
	buf_done(&sql);
	return r;
}
