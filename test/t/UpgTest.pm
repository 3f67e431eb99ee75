# UpgTest.pm: a private server, databases, and runs of the command line for prove tests.
package UpgTest;

use strict;
use warnings;

use Cwd qw(abs_path getcwd);
use Exporter 'import';
use File::Basename qw(dirname);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use IPC::Run qw(run start finish pump timeout);
use Test::More ();

our @EXPORT = qw(server_start server_stop database sql upg upg_start upg_finish files
  slurp tempdir workdir damage kept_files hold release $UPG);

our $TOP = abs_path(dirname(__FILE__) . '/../..');
our $UPG = $ENV{UPG_PROGRAM} // "$TOP/cli/upg";
my $SERVER = $ENV{UPG_SERVER_SCRIPT} // "$TOP/scripts/server.sh";
my $dir;
my $work;

# What a developer's shell sets must not change a test, but how much of it runs.
delete @ENV{ grep { /^(UPG_|PG|DATABASE_URL)/ && !/^(UPG_SERVER|UPG_PROGRAM|UPG_FULL$|UPG_SEED$|UPG_UNDO_KILLS$|UPG_KILLS$|PG_CONFIG)/ } keys %ENV };
$ENV{NO_COLOR} = 1;
$ENV{LC_ALL}   = 'C.UTF-8';

# A private server, destroyed at the end; settings are NAME=VALUE.
sub server_start
{
	my (@settings) = @_;
	$dir = tempdir('upg.XXXXXX', DIR => '/tmp');
	my ($out, $err);
	run([ $SERVER, 'start', $dir, 'fsync=off', @settings ], \undef, \$out, \$err)
	  or die "no server: $err";
	run([ $SERVER, 'env', $dir ], \undef, \$out, \$err) or die $err;
	$ENV{$1} = $2 while $out =~ /(PG\w+)='?([^'\s]+)'?/g;
	$ENV{PATH} = "$1:$ENV{PATH}" if $out =~ /PATH='([^']+)'/;
	return $dir;
}

sub server_stop
{
	my ($mode) = @_;
	run([ $SERVER, 'stop', $dir, $mode // 'fast' ], \undef, \my $out, \my $err);
}

END
{
	my $status = $?;
	run([ $SERVER, 'destroy', $dir ], \undef, \my $out, \my $err) if defined $dir;
	$? = $status;
}

# A directory for the files of a test, removed at its end.
sub workdir
{
	return tempdir('upgfiles.XXXXXX', TMPDIR => 1, CLEANUP => 1);
}

# A new database that has the extension.
sub database
{
	my ($name, %opt) = @_;
	sql('postgres', "CREATE DATABASE $name");
	sql($name, 'CREATE EXTENSION upg') unless $opt{bare};
	return $name;
}

# Rows of a query, fields separated by |, rows by newline; dies on an error.
sub sql
{
	my ($db, $query) = @_;
	my ($out, $err);
	run([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $db ], \$query, \$out, \$err)
	  or die "psql: $err";
	chomp $out;
	return $out;
}

# Run upg; exit code, stdout, stderr.
sub upg
{
	my (@args) = @_;
	my ($out, $err) = ('', '');
	my $h = start([ $UPG, @args ], \undef, \$out, \$err, timeout(120));
	finish($h);
	return ($h->full_result >> 8, $out, $err) if !($h->full_result & 127);
	return (128 + ($h->full_result & 127), $out, $err);
}

# Start upg without waiting; the handle and references to its output.
sub upg_start
{
	my (@args) = @_;
	my ($out, $err) = ('', '');
	my $h = start([ $UPG, @args ], \undef, \$out, \$err, timeout(120));
	return ($h, \$out, \$err);
}

# Wait for several runs of upg_start(); how many of them failed.
sub upg_finish
{
	my $bad = 0;
	for my $run (@_)
	{
		$run->[0]->finish;
		next if ($run->[0]->full_result || 0) == 0;
		$bad++;
		Test::More::diag(${ $run->[2] });
	}
	return $bad;
}

# What amcheck says against the indexes and tables of a database; '' is nothing.
sub damage
{
	my ($db) = @_;
	return sql($db, q{
		SELECT bt_index_check(c.oid, true) FROM pg_class c JOIN pg_am a ON a.oid = relam
		WHERE amname = 'btree' AND relkind = 'i' AND relpersistence = 'p';
		SELECT c.oid::regclass, h.msg FROM pg_class c, verify_heapam(c.oid) h
		WHERE relkind IN ('r', 't', 'm') AND relpersistence = 'p' AND relname !~ '^upg_kept_'}) =~ s/^\s+|\s+$//gr;
}

# How many relations are kept for rollbacks.
sub kept_files
{
	my ($db) = @_;
	return sql($db, q{SELECT count(*) FROM pg_class WHERE relname ~ '^upg_kept_'});
}

# A session that has run a statement and stays in its transaction until release().
sub hold
{
	my ($db, $statement) = @_;
	my %session = (in => "BEGIN; $statement; SELECT 'held';\n", out => '');
	$session{run} = start([ 'psql', '-XAtq', '-d', $db ], '<', \$session{in}, '>', \$session{out}, '2>', \$session{err});
	pump $session{run} until $session{out} =~ /held/;
	return \%session;
}

sub release
{
	my ($session) = @_;
	finish $session->{run};
	return;
}

# Write files below a directory: name => content.
sub files
{
	my ($base, %files) = @_;
	for my $name (keys %files)
	{
		my $path = "$base/$name";
		make_path(dirname($path));
		open(my $fh, '>:raw', $path) or die "$path: $!";
		print $fh $files{$name};
		close($fh) or die "$path: $!";
	}
	return $base;
}

sub slurp
{
	my ($path) = @_;
	open(my $fh, '<:raw', $path) or die "$path: $!";
	local $/;
	return <$fh>;
}

1;
