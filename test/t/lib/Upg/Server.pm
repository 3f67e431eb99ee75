# A private server for a test script, and ways to talk to it.
#
#   my $server = Upg::Server->new('max_connections=60', …);
#   $server->sql('SELECT 1')          output, dies on an error
#   $server->error('SELECT 1/0')      what psql wrote to stderr
#   $server->background('SELECT …')   process id of a psql that runs on
#
# The server is destroyed with the object, and when the script ends.
package Upg::Server;

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use IPC::Run qw(run);
use POSIX ();
use Time::HiRes qw(sleep time);

my $top = abs_path(dirname(__FILE__) . '/../../../..');
my %alive;

sub new
{
    my ($class, @settings) = @_;
    my $self = bless {
        dir      => tempdir('upg.XXXXXX', DIR => '/tmp'),
        settings => \@settings,
        owner    => $$
    }, $class;
    my $config = $ENV{PG_CONFIG} || 'pg_config';
    chomp($self->{bindir} = `$config --bindir`);
    $alive{ $self->{dir} } = $self;
    $self->script('start', @settings);
    @ENV{qw(PGHOST PGPORT PGUSER PGDATABASE)} = ($self->{dir}, 5999, 'postgres', 'postgres');
    return $self;
}

sub top { return $top }
sub dir { return $_[0]{dir} }
sub bin { return "$_[0]{bindir}/$_[1]" }

sub script
{
    my ($self, $action, @args) = @_;
    system("$top/scripts/server.sh", $action, $self->{dir}, @args) == 0
      or die "server.sh $action failed";
    return;
}

sub restart { my ($self, @settings) = @_; $self->script('restart', @{ $self->{settings} }, @settings) }

# Run SQL in one session of psql: (status, stdout, stderr).  From a file, because a
# psql that cannot connect would break a pipe.
sub psql
{
    my ($self, $query, @options) = @_;
    my $file = "$self->{dir}/query.$$.sql";
    open my $fh, '>', $file or die "$file: $!";
    print $fh $query;
    close $fh;
    run([$self->bin('psql'), '-XAtq', '-v', 'ON_ERROR_STOP=1', @options, '-f', $file],
        '<', \undef, '>', \my $out, '2>', \my $err);
    my $status = $?;
    chomp $out;
    return ($status, $out, $err);
}

sub sql
{
    my ($self, $query, @options) = @_;
    my ($status, $out, $err) = $self->psql($query, @options);
    die "$query\n$err" if $status;
    return $out;
}

sub error { my ($self, @args) = @_; return ($self->psql(@args))[2] }

# A psql that runs on, under its own application name; returns its process id.
# Reap it with $server->reap($pid).
sub background
{
    my ($self, $query, $application) = @_;
    my $file = "$self->{dir}/background." . ++$self->{queries} . '.sql';
    open my $fh, '>', $file or die "$file: $!";
    print $fh $query;
    close $fh;
    return $self->background_program($application || 'background', $self->bin('psql'), '-XAtq',
        '-f', $file);
}

# The same for any program.
sub background_program
{
    my ($self, $application, @command) = @_;
    my $file = "$self->{dir}/background." . ++$self->{backgrounds};
    my $pid  = fork;
    die "fork: $!" unless defined $pid;
    if (!$pid)
    {
        $ENV{PGAPPNAME} = $application;
        open STDIN,  '<', '/dev/null';
        open STDOUT, '>', "$file.out";
        open STDERR, '>', "$file.err";
        exec @command or POSIX::_exit(127);
    }
    $self->{background_files}{$pid} = $file;
    return $pid;
}

# Wait for the end of a background program: (status, stdout, stderr).
sub reap
{
    my ($self, $pid) = @_;
    my $file = delete $self->{background_files}{$pid};
    waitpid $pid, 0;
    my $status = $?;
    my @texts = map { open(my $fh, '<', "$file.$_") or die; local $/; my $t = <$fh>; $t } 'out', 'err';
    return ($status, @texts);
}

# Wait until a query gives "t"; false after some seconds.
sub wait_for
{
    my ($self, $query, $seconds, @options) = @_;
    my $end = time + ($seconds || 30);
    while (time < $end)
    {
        my ($status, $out) = $self->psql($query, @options);
        return 1 if !$status && $out eq 't';
        sleep 0.05;
    }
    return 0;
}

sub destroy
{
    my ($self) = @_;
    return unless delete $alive{ $self->{dir} };
    system("$top/scripts/server.sh", 'destroy', $self->{dir});
    return;
}

END
{
    my $status = $?;
    $_->destroy for grep { $_->{owner} == $$ } values %alive;
    $? = $status;
}

1;
