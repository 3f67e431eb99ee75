# Kill clients and backends at random moments while small migrations, each one
# transaction, are applied; stop the server at once in the middle.  Running the
# same again finishes, and every effect is there exactly once.
#
# UPG_KILLS is the number of kills of each kind (default 3), UPG_SEED the seed.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw(sleep);

use Upg::Kill qw(marks_directory statements_around inside_now kill_at check_effects seeded);
use Upg::Server;

my $kills = $ENV{UPG_KILLS} || 3;
seeded();

my $server = Upg::Server->new('max_connections=40');
$server->sql('CREATE EXTENSION upg');
my $marks = marks_directory($server);

# Each takes some milliseconds of work, most of its time inside.
my $count = 30 + 12 * $kills;
my @names = map { sprintf 'm%04d', $_ } 1 .. $count;
my $up    = "\\set ON_ERROR_STOP 1\n";
for my $name (@names)
{
    my $script = statements_around($marks, $name,
        "INSERT INTO effects VALUES ('$name', 1);",
        "CREATE TABLE t_$name (i int PRIMARY KEY);",
        'SELECT pg_sleep(0.02);',
        "INSERT INTO effects VALUES ('$name', 2);");
    $up .= "SELECT state FROM upg_apply('$name', \$upg\$$script\$upg\$, \$upg\$DROP TABLE t_$name;\$upg\$);\n";
}

# The backend of the run: upg_apply() changes the name while it runs a script.
my $of_run = q{application_name ~ '^(upg up|the run)' AND backend_type = 'client backend'};

sub backend
{
    my ($status, $pid) = $server->psql("SELECT pid FROM pg_stat_activity WHERE $of_run LIMIT 1");
    return $status ? undef : $pid;
}

my %landed = (client => 0, backend => 0);
for my $kind ('client', 'backend')
{
    for (1 .. $kills)
    {
        my $applied = $server->sql(q{SELECT count(*) FROM upg_status() WHERE state = 'applied'});
        last if $applied >= $count;
        my $run = $server->background($up, 'the run');
        # The moment is counted from when the run is at work.
        ok($server->wait_for("SELECT count(*) > $applied FROM upg_status() WHERE state = 'applied'", 20),
            "$kind $_: the run goes on where the last one was killed");
        my $pid = $kind eq 'client' ? $run : backend();
        my $inside = kill_at($marks, 0.15, sub { $pid }, 'KILL');
        $landed{$kind}++ if $inside;
        $server->reap($run);
        ok($server->wait_for("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE $of_run)", 20),
            "$kind $_: nothing of the run is left");
        next unless $inside && $kind eq 'backend';
        is($server->sql("SELECT coalesce((SELECT state FROM upg_migration_state('$inside')), 'none')"),
            'none', "$kind $_: the migration it was inside is not in the books");
        unlink "$marks/$inside.begun";
    }
}

# pg_ctl stop -m immediate in the middle
{
    my $run = $server->background($up, 'the run');
    sleep 0.1;
    $server->script('stop', 'immediate');
    $server->reap($run);
    $server->script('start', 'max_connections=40');
}

my ($status, $out, $err) = $server->psql($up);
is($status, 0, 'the same again finishes') or diag($err);
is($server->sql(q{SELECT count(*) FROM upg_status() WHERE state = 'applied'}),
    $count, 'all migrations are applied');
is($server->sql(q{SELECT count(*) FROM pg_class WHERE relname ~ '^t_m\d+$'}),
    $count, 'all tables are there');
check_effects($server, 2 * $count, 'after all kills');

($status, $out) = $server->psql($up);
is(join(',', sort keys %{ { map { $_ => 1 } split /\n/, $out } }),
    'already', 'a run with nothing to do does nothing');
check_effects($server, 2 * $count, 'after a run with nothing to do');

for my $kind (sort keys %landed)
{
    diag("kills of the $kind that landed inside a migration: $landed{$kind} of $kills");
    cmp_ok($landed{$kind}, '>=', 0.6 * $kills, "$kind: at least 60 % landed inside a migration");
}

done_testing();
