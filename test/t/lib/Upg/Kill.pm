# Kill something at a random moment while migrations run, and tell whether that
# moment was inside a migration.
#
# A migration made by statements_around() leaves marks that no rollback takes
# back: the server writes an empty file when it begins, and one when it ends.
# Begun and not ended at the moment of the kill is the proof that the kill
# landed inside; and "effects" has a row for each part of it that counts twice
# if something ran twice.
package Upg::Kill;

use strict;
use warnings;

use Exporter qw(import);
use Time::HiRes qw(sleep time);

our @EXPORT_OK =
  qw(marks_directory statements_around inside_now kill_at check_effects seeded running_worker);

# Seeded by UPG_SEED, which is printed, so that a failure can be seen again.
sub seeded
{
    my $seed = $ENV{UPG_SEED} || int(time) % 100_000;
    srand($seed);
    main::diag("UPG_SEED=$seed");
    return $seed;
}

# The server writes there, whoever it runs as.
sub marks_directory
{
    my ($server) = @_;
    my $dir = $server->dir . '/marks';
    mkdir $dir;
    chmod 0777, $dir;
    # The marks are files, which no undo takes back; the rest of it is captured and proven.
    $server->sql(q{DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET upg.undo = best_effort', current_database()); END$$});
    $server->sql('CREATE TABLE effects (migration text, part int, at timestamptz DEFAULT clock_timestamp())');
    return $dir;
}

# Statements of a migration with marks around them.
sub statements_around
{
    my ($dir, $name, @statements) = @_;
    return join("\n",
        "COPY (SELECT) TO '$dir/$name.begun';",
        @statements, "COPY (SELECT) TO '$dir/$name.ended';", '');
}

# Names of migrations that have begun and not ended.
sub inside_now
{
    my ($dir) = @_;
    return grep { !-e "$dir/$_.ended" } map { m{([^/]+)\.begun$} } glob("$dir/*.begun");
}

# After a random time, kill what $victim returns with $signal.  Returns the name
# of a migration that was inside at that moment, '' if none was, undef if the
# victim had ended before.
sub kill_at
{
    my ($dir, $longest, $victim, $signal) = @_;
    sleep rand $longest;
    my $pid = $victim->() or return;
    my ($inside) = inside_now($dir);
    kill($signal, $pid) or return;
    # It may have ended between the look and the signal: look again.
    return $inside && !-e "$dir/$inside.ended" ? $inside : '';
}

# Every part of every migration exactly once.
sub check_effects
{
    my ($server, $expected, $what) = @_;
    main::is($server->sql(q{SELECT coalesce(string_agg(format('%s/%s: %s times', migration, part, n), ', '), '')
        FROM (SELECT migration, part, count(*) AS n FROM effects GROUP BY 1, 2) AS e WHERE n <> 1}),
        '', "$what: no effect is there twice");
    main::is($server->sql('SELECT count(*) FROM effects'), $expected, "$what: no effect is missing");
    main::is($server->sql('SELECT ok, reason FROM upg_audit_verify()'), 't|',
        "$what: the audit chain is whole");
    return;
}

# Process id of a background worker that runs a migration.
sub running_worker
{
    my ($server) = @_;
    my ($status, $pid) = $server->psql(
        q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'upg migration' LIMIT 1});
    return $status ? undef : $pid;
}

1;
