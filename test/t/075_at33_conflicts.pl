# Fifty at once: on the same object one wins and the others are told who holds what;
# on different objects they run side by side; dependencies keep their order.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IPC::Run qw(run timeout);
use Test::More;
use Time::HiRes qw(time);

use Upg::Server;

my $n      = 50;
my $server = Upg::Server->new('fsync=off', 'max_connections=80');
my $upg    = $ENV{UPG_PROGRAM} // Upg::Server->top . '/cli/upg';
my $dir    = $server->dir;
$server->sql("CREATE EXTENSION upg; CREATE TABLE shared (i int)");
$server->sql("DO \$\$BEGIN FOR i IN 1 .. $n LOOP EXECUTE format('CREATE TABLE own_%s (i int)', i); END LOOP; END\$\$");

# Overlapping: the winner stays in its transaction until all others have an answer.
my $winner = $server->background(q{BEGIN; SELECT state FROM upg_apply('winner', 'ALTER TABLE shared ADD w int'); SELECT pg_sleep(60);}, 'the winner');
ok($server->wait_for(q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'the winner' AND wait_event = 'PgSleep')}, 20), 'one has the object');
my @losers = map {
    $server->background("\\set VERBOSITY verbose\nSET upg.conflict_timeout = 0;\nSELECT upg_apply('loser $_', 'ALTER TABLE shared ADD l$_ int');", "loser $_")
} 1 .. $n - 1;
my ($told, $wrong) = (0, '');
for (@losers)
{
    my ($status, $out, $err) = $server->reap($_);
    if ($err =~ /ERROR:  UP004: .*DETAIL:  .*the winner/s && $err =~ /shared/) { $told++ }
    else { $wrong .= "$out$err" }
}
is($told, $n - 1, 'all others are refused, and told the object and its holder') or diag substr($wrong, 0, 2000);
mkdir "$dir/m" or die;
open my $fh, '>', "$dir/m/1_loser.sql" or die;
print $fh 'ALTER TABLE shared ADD cli int;';
close $fh;
run([$upg, 'up', '-d', 'postgres', '--no-wait', "$dir/m"], '<', \undef, '>', \my $out, '2>', \my $err, timeout(60));
is($? >> 8, 6, 'upg up --no-wait: exit 6') or diag $err;
like($err, qr/shared.*the winner|the winner.*shared/s, '... names object and holder');
$server->sql(q{SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'the winner'});
$server->reap($winner);

# A race without a referee: exactly one applies, the others find it done.
my @race = map { $server->background("SET upg.conflict_timeout = '60s'; SELECT state FROM upg_apply('race', 'ALTER TABLE shared ADD race int; INSERT INTO shared VALUES (1)');") } 1 .. $n;
my %states;
for (@race)
{
    my ($status, $state, $error) = $server->reap($_);
    chomp $state;
    $states{ $status ? $error : $state }++;
}
is_deeply(\%states, { applied => 1, already => $n - 1 }, 'of fifty with the same migration one applies it');
is($server->sql('SELECT count(*) FROM shared'), 1, '... and its effect is there once');

# Disjoint: all are inside at the same time.  Each stays until the test has seen them all.
$server->sql('CREATE TABLE seen_all ()');
my $began = time;
my @own = map { $server->background("SET upg.conflict_timeout = 0; SELECT state FROM upg_apply('own $_', 'ALTER TABLE own_$_ ADD x int; DO \$\$ BEGIN WHILE NOT EXISTS (SELECT FROM seen_all) LOOP PERFORM pg_sleep(0.2); END LOOP; END \$\$', options => '{\"footprint\": [\"table:public.own_$_\"]}');") } 1 .. $n;
ok($server->wait_for(q{SELECT count(*) = 50 FROM pg_stat_activity WHERE application_name LIKE 'upg up own % 2/2'}, 90), 'fifty disjoint ones run at the same time');
$server->sql('INSERT INTO seen_all DEFAULT VALUES');
my $done = 0;
for (@own) { my ($status, $state) = $server->reap($_); $done++ if $state eq "applied\n" }
is($done, $n, '... and all are applied');

# Dependencies
$server->sql(q{SELECT upg_register('c', 'CREATE TABLE dep_c AS SELECT * FROM dep_b', 'DROP TABLE dep_c', '{b}') FROM upg_register('a', 'CREATE TABLE dep_a (i int)', 'DROP TABLE dep_a') a, LATERAL upg_register('b', 'CREATE TABLE dep_b AS SELECT * FROM dep_a', 'DROP TABLE dep_b', '{a}') b WHERE a.state IS NOT NULL AND b.state IS NOT NULL});
like($server->error(q{SELECT upg_register('a', 'CREATE TABLE dep_a (i int)', requires => '{c}')}), qr/form a cycle.*a.*b.*c|form a cycle.*c.*b.*a/s, 'a cycle is refused and printed');
is($server->sql(q{SELECT string_agg(migration, ' ' ORDER BY ord) FROM upg_plan('c')}), 'a b c', 'the plan has what is required first');
like($server->error(q{SELECT upg_apply('c')}), qr/requires "b", which is not applied/, 'out of order is refused');
is($server->sql(qq{SELECT state FROM upg_apply('$_')}), 'applied', "$_ in its turn") for qw(a b c);
like($server->error(q{SELECT upg_rollback('a')}), qr/1 applied migration requires "a".*"b"/s, 'what others need is not taken back');
is($server->sql(q{SELECT string_agg(migration, ' ') FROM upg_rollback('a', options => '{"cascade": true}')}), 'c b a', 'cascade goes the other way round');
is($server->sql('SELECT count(*) FROM upg_locks()'), 0, 'no lock is left');
is($server->sql('SELECT ok, reason FROM upg_audit_verify()'), 't|', 'the audit trail is whole');
done_testing();
