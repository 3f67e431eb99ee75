#!/usr/bin/env perl
# test/bench/generate.pl N DIR: N small migrations in the forms of several tools.
#
# Five in turn make a table, add a column, an index, a CHECK and a default: what
# most real migrations do, and so little work that bookkeeping shows.  Below DIR:
#   golang/   NNNNNN_name.up.sql and .down.sql (golang-migrate, upg)
#   dbmate/   NNNNNN_name.sql with both directions under markers
#   sqitch/   sqitch.plan, sqitch.conf, deploy/ and revert/
#   floor.sql for psql: every up file in a transaction of its own
use strict;
use warnings;
use File::Path qw(make_path);

my ($n, $dir) = @ARGV;
die "usage: generate.pl N DIR\n" unless defined $dir && $n =~ /^[1-9]\d*$/;

my @shapes = (
    [ 'create', 'CREATE TABLE %s (id bigint PRIMARY KEY, label text NOT NULL)', 'DROP TABLE %s' ],
    [ 'column', 'ALTER TABLE %s ADD COLUMN amount integer', 'ALTER TABLE %s DROP COLUMN amount' ],
    [ 'index', 'CREATE INDEX %s_amount ON %s (amount)', 'DROP INDEX %s_amount' ],
    [
        'check',
        'ALTER TABLE %s ADD CONSTRAINT %s_amount_positive CHECK (amount >= 0)',
        'ALTER TABLE %s DROP CONSTRAINT %s_amount_positive'
    ],
    [ 'default', 'ALTER TABLE %s ALTER COLUMN amount SET DEFAULT 0', 'ALTER TABLE %s ALTER COLUMN amount DROP DEFAULT' ],
);

sub put
{
    my ($name, $text) = @_;
    open(my $fh, '>', "$dir/$name") or die "$dir/$name: $!\n";
    print $fh $text;
    close($fh) or die "$dir/$name: $!\n";
}

make_path(map { "$dir/$_" } qw(golang dbmate sqitch/deploy sqitch/revert));
my $floor = '';
my $plan = "%syntax-version=1.0.0\n%project=bench\n\n";
foreach my $i (1 .. $n)
{
    my ($what, $up, $down) = @{ $shapes[ ($i - 1) % @shapes ] };
    my $table = sprintf('bench_%06d', int(($i - 1) / @shapes) + 1);
    my $name = sprintf('%06d_%s', $i, $what);
    s/%s/$table/g foreach ($up, $down);
    put("golang/$name.up.sql", "$up;\n");
    put("golang/$name.down.sql", "$down;\n");
    put("dbmate/$name.sql", "-- migrate:up\n$up;\n\n-- migrate:down\n$down;\n");
    put("sqitch/deploy/c$name.sql", "-- Deploy bench:c$name to pg\nBEGIN;\n$up;\nCOMMIT;\n");
    put("sqitch/revert/c$name.sql", "-- Revert bench:c$name from pg\nBEGIN;\n$down;\nCOMMIT;\n");
    $plan .= "c$name 2026-01-01T00:00:00Z Bench <bench\@example.org> # $what\n";
    $floor .= "BEGIN;\n\\ir golang/$name.up.sql\nCOMMIT;\n";
}
put('sqitch/sqitch.plan', $plan);
put('sqitch/sqitch.conf', "[core]\n\tengine = pg\n[user]\n\tname = Bench\n\temail = bench\@example.org\n");
put('floor.sql', $floor);
