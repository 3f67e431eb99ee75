# The audit trail under twenty writers, verified by the server and, from its
# export alone, without one; then tampered with in every way a superuser can.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IPC::Run qw(run);
use JSON::PP;
use Test::More;

use Upg::Server;

my $server = Upg::Server->new('max_connections=60');
my $dir    = $server->dir;

sub sql { return $server->sql(@_) }

sub offline
{
    my ($export, @args) = @_;
    # From a file: the verifier leaves at the first fault, and a pipe would break.
    open my $fh, '>', "$dir/export.jsonl" or die;
    print $fh "$export\n";
    close $fh;
    run([$^X, "$FindBin::Bin/lib/verify_export", @args], '<', "$dir/export.jsonl", '>', \my $out);
    chomp $out;
    return $out;
}

sub export { return sql('SELECT line FROM upg_audit_export() AS line'); }

sub pgbench
{
    my ($script, $transactions) = @_;
    open my $fh, '>', "$dir/bench.sql" or die;
    print $fh $script;
    close $fh;
    my ($out, $err);
    run(
        [$server->bin('pgbench'), '-n', '-c', '20', '-j', '2', '-t', $transactions,
            '--max-tries=100', '-f', "$dir/bench.sql"],
        '>', \$out, '2>', \$err) or die $err;
    $out =~ /processed: (\d+)\/(\d+)/ or die $out;
    my ($done, $wanted) = ($1, $2);
    my ($tps) = $out =~ /tps = ([\d.]+)/;
    return ($done, $wanted, $tps);
}

sql('CREATE EXTENSION upg; CREATE TABLE writers (i int)');
my $per_client = $ENV{UPG_AUDIT_TRANSACTIONS} || 25;

# Twenty writers at each isolation level, some rolling back, some to a savepoint.
for my $level ('READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE')
{
    my $before = sql('SELECT count(*) FROM upg.audit_log');
    my ($done, $wanted) = pgbench(<<"SQL", $per_client);
\\set fate random(1, 10)
BEGIN ISOLATION LEVEL $level;
SELECT upg_audit_note('writer', ':client_id', '{"fate": :fate}');
INSERT INTO writers VALUES (:client_id);
SAVEPOINT s;
SELECT upg_audit_note('lost');
ROLLBACK TO s;
\\if :fate = 1
ROLLBACK;
\\else
SELECT upg_audit_note('second');
COMMIT;
\\endif
SQL
    is($done, $wanted, "$level: no transaction of twenty writers fails");
    is(sql('SELECT ok, reason FROM upg_audit_verify()'), 't|', "$level: the chain is whole");
    my $rows = sql('SELECT count(*) FROM writers');
    is(sql(q{SELECT count(*) FROM upg.audit_log WHERE action = 'note.writer'}), $rows,
        "$level: an entry for each transaction that committed, and for no other");
    cmp_ok(sql('SELECT count(*) FROM upg.audit_log'), '>', $before, "$level: the trail grew");
}
is(sql(q{SELECT count(*) FROM upg.audit_log WHERE action = 'note.lost'}),
    0, 'nothing of a subtransaction that was rolled back');

# Names and values that are hard to carry
sql(<<'SQL');
CREATE ROLE "o'Brien, ""x"" ✓" SUPERUSER;
SET application_name = 'line, "quoted" \ tab	end';
SET SESSION AUTHORIZATION "o'Brien, ""x"" ✓";
SELECT upg_audit_note(E'new\nline \\ "q" , é', E'\u0001 \u2028 😀', '{"k": "v\n\"\\u00e9", "n": 1e400, "l": [null, true, 1.50]}');
SELECT upg_audit_note('empty', '');
SQL
my $entries = sql('SELECT count(*) FROM upg.audit_log');
my $whole   = export();
is(offline($whole), "ok: $entries entries", 'the export verifies without a server');

# CSV says the same, read by another reader: COPY
sql(<<"SQL");
CREATE TABLE from_csv (LIKE upg.audit_log);
ALTER TABLE from_csv ALTER prev TYPE text, ALTER hash TYPE text;
SQL
run([$server->bin('psql'), '-XAtqc', q{SELECT line FROM upg_audit_export('csv') AS line}],
    '>', "$dir/trail.csv");
sql("\\copy from_csv FROM '$dir/trail.csv' WITH (FORMAT csv, HEADER)");
is(
    sql(<<'SQL'), 0, 'the CSV export read back by COPY equals the trail');
SELECT count(*) FROM upg.audit_log a FULL JOIN from_csv c USING (seq)
 WHERE (a.at, a.actor, a.role, a.pid, a.application_name, a.client_addr, a.action, a.object,
        a.before::text, a.after::text, encode(a.prev, 'hex'), encode(a.hash, 'hex'))
       IS DISTINCT FROM
       (c.at, c.actor, c.role, c.pid, c.application_name, c.client_addr, c.action, c.object,
        c.before::text, c.after::text, c.prev, c.hash)
SQL

# A dump restored elsewhere keeps the trail, and goes on with it.
my $point = sql('SELECT upg_audit_checkpoint()');
run([$server->bin('pg_dump'), '-Fc', '-f', "$dir/dump"]) or die;
sql('CREATE DATABASE restored');
run([$server->bin('pg_restore'), '-d', 'restored', '--exit-on-error', "$dir/dump"])
  or fail('the dump restores');
{
    local $ENV{PGDATABASE} = 'restored';
    is(sql("SELECT ok, reason FROM upg_audit_verify('$point')"),
        't|', 'a restored trail is whole and agrees with the checkpoint');
    sql(q{SELECT upg_audit_note('restored')});
    is(sql("SELECT ok, entries FROM upg_audit_verify('$point')"),
        't|' . ($entries + 2), 'and goes on where it ended');
}

# Tampering: what the server says and what the verifier says of the export
my $point_seq = decode_json($point)->{seq};
my $fixed     = '--checkpoint=' . encode_json(decode_json($point));
my @cases     = (
    ['an entry is edited', q{UPDATE upg.audit_log SET object = 'x' WHERE seq = 7}, 7, 1],
    ['an entry is dated back', q{UPDATE upg.audit_log SET at = at - interval '1 day' WHERE seq = 8}, 8, 1],
    ['an actor is replaced', q{UPDATE upg.audit_log SET actor = 'mallory' WHERE seq = 9}, 9, 1],
    ['an empty value becomes null', q{UPDATE upg.audit_log SET object = NULL WHERE object = ''}, $entries, 1],
    ['an entry is deleted', q{DELETE FROM upg.audit_log WHERE seq = 10}, 10, 1],
    ['the first entry is deleted', q{DELETE FROM upg.audit_log WHERE seq = 1}, 1, 1],
    ['two entries change places', q{UPDATE upg.audit_log SET seq = -seq WHERE seq IN (11, 12); UPDATE upg.audit_log SET seq = 23 + seq WHERE seq < 0}, 11, 1],
    ['the tail is cut', q{DELETE FROM upg.audit_log WHERE seq > 20}, 21, 0],
    ['everything is deleted', q{DELETE FROM upg.audit_log}, 1, 0],
    # stamped anew from the edited entry on, with the format known
    ['an entry is edited and the chain stamped anew', <<'SQL', $point_seq, 0]);
UPDATE upg.audit_log SET object = 'forged' WHERE seq = 5;
CREATE FUNCTION ns(v text) RETURNS text LANGUAGE sql AS
    $$SELECT coalesce(octet_length(v) || ':' || v, '-') || ','$$;
DO $$
DECLARE r upg.audit_log; last bytea;
BEGIN
    FOR r IN SELECT * FROM upg.audit_log ORDER BY seq LOOP
        IF r.seq < 5 THEN last := r.hash; CONTINUE; END IF;
        r.prev := last;
        last := sha256(convert_to(ns('upg-audit-1') || ns(encode(r.prev, 'hex')) || ns(r.seq::text)
            || ns((extract(epoch FROM r.at) * 1000000)::bigint::text) || ns(r.actor) || ns(r.role)
            || ns(r.pid::text) || ns(r.application_name) || ns(r.client_addr) || ns(r.action)
            || ns(r.object) || ns(r.before::text) || ns(r.after::text), 'UTF8'));
        UPDATE upg.audit_log SET prev = r.prev, hash = last WHERE seq = r.seq;
    END LOOP;
END $$;
SQL
for my $case (@cases)
{
    my ($what, $tamper, $bad, $alone) = @$case;
    my $rows = sql(<<"SQL");
BEGIN;
ALTER TABLE upg.audit_log DISABLE TRIGGER USER;
ALTER TABLE upg.audit_checkpoints DISABLE TRIGGER USER;
DELETE FROM upg.audit_checkpoints;
$tamper;
SELECT ok, first_bad FROM upg_audit_verify('$point');
SELECT ok FROM upg_audit_verify();
SELECT line FROM upg_audit_export() AS line;
ROLLBACK;
SQL
    my ($with, $without, $export) = split /\n/, $rows, 3;
    $export = '' unless defined $export;
    is($with, "f|$bad", "$what: found with the checkpoint");
    is($without, $alone ? 'f' : 't', "$what: " . ($alone ? 'found' : 'not to be found') . ' without it');
    like(offline($export, $fixed), qr/^broken at $bad:/, "$what: found in the export")
      if $export =~ /\S/;
    like(offline($export), $alone ? qr/^broken at $bad:/ : qr/^ok/, "$what: export without checkpoint")
      if $export =~ /\S/;
}

# A hundred thousand entries within ten seconds
sql(q{SELECT count(upg_audit_note('many', 'object ' || i, jsonb_build_object('i', i))) FROM generate_series(1, 100000) i});
my $ms = sql(<<'SQL');
CREATE TEMP TABLE t AS SELECT clock_timestamp() AS t0;
CREATE TEMP TABLE v AS SELECT * FROM upg_audit_verify();
SELECT extract(epoch FROM clock_timestamp() - t0) * 1000 FROM t, v WHERE ok AND entries > 100000;
SQL
like($ms, qr/^\d/, 'the large trail is whole');
cmp_ok($ms || 1e9, '<', 10_000, "100,000 entries are verified within 10 s (took $ms ms)");
diag("verification of 100,000 entries: $ms ms");
# JSON::PP needs half a minute for its export.
is(offline(export()), 'ok: ' . sql('SELECT count(*) FROM upg.audit_log') . ' entries',
    'and its export verifies')
  if $ENV{UPG_FULL};

# The trail survives a crash
sql(q{SELECT upg_audit_note('before the crash')});
$server->script('stop', 'immediate');
$server->script('start', 'max_connections=60');
is(sql('SELECT ok, reason FROM upg_audit_verify()'), 't|', 'the chain is whole after a crash');
is(sql('SELECT action FROM upg.audit_log ORDER BY seq DESC LIMIT 1'),
    'note.before the crash', 'and holds what was committed');

# Two-phase commit is refused in time
$server->restart('max_prepared_transactions=5');
like($server->error(q{BEGIN; SELECT upg_audit_note('two-phase'); PREPARE TRANSACTION 'x'}),
    qr/cannot PREPARE a transaction that upg has to audit/, 'PREPARE TRANSACTION is refused');
is(sql('SELECT count(*) FROM pg_prepared_xacts'), 0, 'and leaves nothing prepared');

done_testing();
