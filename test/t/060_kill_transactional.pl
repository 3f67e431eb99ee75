# Kill the command line, psql, and the backends of both at random moments while
# small migrations, each one transaction, are applied; stop the server at once in
# the middle.  Running the same again finishes, and every effect is there exactly
# once.
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

# Migrations that take some tens of milliseconds each, most of the time inside: as files
# for the command line, and as calls for psql.
my $expected = 0;

sub script
{
    my ($name) = @_;
    $expected++;
    return statements_around($marks, $name,
        "INSERT INTO effects VALUES ('$name', 1);",
        "CREATE TABLE t_$name (i int PRIMARY KEY);",
        'SELECT pg_sleep(0.05);',
        "INSERT INTO effects VALUES ('$name', 2);");
}

sub directory
{
    my ($prefix, $count) = @_;
    my $files = $server->dir . "/$prefix";
    mkdir $files;
    for my $name (map { sprintf '%s%04d', $prefix, $_ } 1 .. $count)
    {
        write_file("$files/$name.up.sql",   script($name));
        write_file("$files/$name.down.sql", "DROP TABLE t_$name;\n");
    }
    return $files;
}

my $count = $ENV{UPG_KILL_MIGRATIONS} || 20 + 12 * $kills;
my $files = directory('f', $count);
my $calls = "\\set ON_ERROR_STOP 1\n";
for my $name (map { sprintf 'p%04d', $_ } 1 .. $count)
{
    $calls .= "SELECT state FROM upg_apply('$name', \$upg\$" . script($name)
      . "\$upg\$, \$upg\$DROP TABLE t_$name;\$upg\$);\n";
}

sub write_file
{
    my ($name, $text) = @_;
    open my $fh, '>', $name or die "$name: $!";
    print $fh $text;
    close $fh;
    return;
}

my $upg = $ENV{UPG_PROGRAM} || $server->top . '/cli/upg';
my %run = (
    upg  => sub { return $server->background_program('the run', $upg, 'up', $_[0] || $files) },
    psql => sub { return $server->background($calls, 'the run') });

# The backend of the run: upg_apply() changes the name while it runs a script.
my $of_run = q{application_name ~ '^(upg|the run)' AND backend_type = 'client backend' AND pid <> pg_backend_pid()};

sub backend
{
    my ($status, $pid) = $server->psql("SELECT pid FROM pg_stat_activity WHERE $of_run LIMIT 1");
    return $status ? undef : $pid;
}

my %landed;
for my $kind ('upg', 'psql', 'backend of psql')
{
    my $start  = $run{ $kind =~ /(\w+)$/ && $1 };
    my $prefix = $kind =~ /psql/ ? 'p' : 'f';
    my $applied_now = "SELECT count(*) FROM upg_status() WHERE state = 'applied' AND migration LIKE '$prefix%'";
    $landed{$kind} = 0;
    for (1 .. $kills)
    {
        my $applied = $server->sql($applied_now);
        my $run     = $start->();
        # The moment is counted from when the run is at work.
        ok($server->wait_for("SELECT ($applied_now) > $applied", 30),
            "$kind $_: the run goes on where the last one was killed");
        my $victim = $kind =~ /^backend/ ? backend() : $run;
        my $inside = kill_at($marks, 0.15, sub { $victim }, 'KILL');
        $landed{$kind}++ if $inside;
        $server->reap($run);
        ok($server->wait_for("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE $of_run)", 30),
            "$kind $_: nothing of the run is left");
        next unless $inside && $kind =~ /^backend/;
        is($server->sql("SELECT coalesce((SELECT state FROM upg_migration_state('$inside')), 'none')"),
            'none', "$kind $_: the migration it was inside is not in the books");
        unlink "$marks/$inside.begun";
    }
}

# The command line waits for a server that comes back, and finishes by itself: so
# each kill has a directory of its own.
$landed{'backend of upg'} = 0;
for my $n (1 .. $kills)
{
    my $own = directory("b${n}_", 12);
    my $run = $run{upg}->($own);
    $server->wait_for("SELECT count(*) > 0 FROM upg_status() WHERE state = 'applied' AND migration LIKE 'b${n}\\_%'", 30);
    my $victim = backend();
    my $inside = kill_at($marks, 0.15, sub { $victim }, 'KILL');
    $landed{'backend of upg'}++ if $inside;
    my ($status, $out, $err) = $server->reap($run);
    $server->wait_for('SELECT true', 30);
    ($status, $out, $err) = $server->reap($run{upg}->($own)) if $status;
    is($status, 0, "backend of upg $n: the run finishes, or the next one") or diag($err);
    is($server->sql("SELECT count(*) FROM upg_status() WHERE state = 'applied' AND migration LIKE 'b${n}\\_%'"),
        12, "backend of upg $n: all is applied");
}

# pg_ctl stop -m immediate in the middle of both
{
    my @runs = map { $run{$_}->() } 'upg', 'psql';
    sleep 0.2;
    $server->script('stop', 'immediate');
    $server->reap($_) for @runs;
    $server->script('start', 'max_connections=40');
}

for my $client ('upg', 'psql')
{
    my ($status, $out, $err) = $server->reap($run{$client}->());
    is($status, 0, "$client: the same again finishes") or diag($err);
}
is($server->sql(q{SELECT count(*) FROM upg_status() WHERE state = 'applied'}),
    $expected, 'all migrations are applied');
is($server->sql(q{SELECT count(*) FROM pg_class WHERE relname ~ '^t_[fpb][0-9_]+$'}),
    $expected, 'all tables are there');
check_effects($server, 2 * $expected, 'after all kills');

for my $client ('upg', 'psql')
{
    my ($status, $out) = $server->reap($run{$client}->());
    is($status, 0, "$client: a run with nothing to do succeeds");
    unlike($out, qr/^applied$/m, "$client: and applies nothing");
}
check_effects($server, 2 * $expected, 'after runs with nothing to do');

for my $kind (sort keys %landed)
{
    diag("kills of the $kind that landed inside a migration: $landed{$kind} of $kills");
    # Of a handful, chance may let most miss; the full check kills often enough to tell.
    cmp_ok($landed{$kind}, '>=', $kills < 10 ? 1 : 0.6 * $kills,
        "$kind: enough landed inside a migration");
}

done_testing();
